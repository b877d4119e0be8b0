/** `1 instance`, `2 instances`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A time that has passed, in its largest unit: `now`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function age(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 1) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** The same with the word for it. */
export function ago(seconds: number): string {
  const text = age(seconds);
  return text === "now" || text === "" ? text : `${text} ago`;
}

/** How long something took: `0.4 ms`, `35 ms`, `1.2 s`. */
export function duration(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}

/** Seconds from one time (RFC 3339) to another. */
export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** The last parts of a path, as far as they fit. */
export function tail(text: string, most: number): string {
  return text.length <= most ? text : `…${text.slice(1 - most)}`;
}

/** The begin of a text, as far as it fits. */
export function head(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
