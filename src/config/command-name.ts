/** Every command of this version. */
export const commandNames = ["registrator", "templater", "agent", "services", "render", "check"] as const;

/** The first word of a command line. */
export type CommandName = (typeof commandNames)[number];
