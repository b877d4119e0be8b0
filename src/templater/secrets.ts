import type { LocalContainer } from "../local-containers.ts";

/** Stands for a value that is not shown. */
export const masked = '"…"';

/** Shorter values are no secrets, and occur in any text. */
const leastSecret = 4;

/** A message of an error without what stands in the environment of these containers, in whatever case it stands. */
export function maskSecrets(message: string, containers: Iterable<LocalContainer>): string {
  const secrets = new Set<string>();
  for (const { env } of containers)
    for (const value of Object.values(env)) {
      // Messages quote what they show.
      const written = [value, JSON.stringify(value).slice(1, -1)];
      for (const one of written) if (one.length >= leastSecret) secrets.add(one.toLowerCase());
    }
  let text = message;
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) {
    let lower = text.toLowerCase();
    for (let at = lower.indexOf(secret); at >= 0; at = lower.indexOf(secret, at + 1)) {
      text = `${text.slice(0, at)}…${text.slice(at + secret.length)}`;
      lower = text.toLowerCase();
    }
  }
  return text;
}
