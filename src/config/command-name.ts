/** Every command of this version. */
export const commandNames = [
  "registrator",
  "templater",
  "agent",
  "services",
  "render",
  "check",
  "explain",
] as const;

/** The first word of a command line. */
export type CommandName = (typeof commandNames)[number];
