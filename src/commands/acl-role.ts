/** Who is given rights. An operator types `tag`, `drain`, `stop` and `rollout`, and whatever only reads. */
export const roles = ["registrator", "templater", "operator"] as const;
export type Role = (typeof roles)[number];

/** What rights are printed for. */
export interface Grant {
  /** The backend's URL without secrets. */
  readonly title: string;
  /** The roles that are asked for. */
  readonly roles: readonly Role[];
  /** The only host that a registrator may claim; undefined: any. */
  readonly node: string | undefined;
}

/** The name under which the store knows a role. */
export const nameOf = (role: Role): string => `portolan-${role}`;

/** A word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
