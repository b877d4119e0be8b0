/** What is to be done where nothing answers in time, behind the words that say so. */
export const overdue = "; see that it is neither overloaded nor out of reach";

/** What is wrong with an answer that was not read to its end because of its length. `about`: what was asked for. */
export function tooLong(about: string, limit: number): string {
  const most = `${limit / 1024 ** 2} MB`;
  return `${about}: the answer is longer than ${most}, and no more is read; remove what does not belong there`;
}

/**
 * What is to be done about a connection that failed, by the words of the system for it: to be put behind them, and
 * empty where there is nothing to say. `server`: who should have answered, for example `etcd`.
 */
export function wayOutOf(words: string, server: string): string {
  if (/ECONNREFUSED/.test(words)) return `; see that ${server} serves clients there`;
  if (/ENOENT/.test(words)) return `; see that ${server} runs and listens on this socket`;
  if (/EACCES/.test(words)) return "; this user may not use the socket";
  if (/ENOTFOUND|EAI_AGAIN|name resolution failed/i.test(words)) {
    return "; see that the name is right, and that DNS or /etc/hosts knows it";
  }
  if (/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/.test(words)) {
    return "; see that the address is right, and that routes and firewalls let it through";
  }
  return "";
}
