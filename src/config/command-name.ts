/** Every command of this version. */
export const commandNames = [
  "registrator",
  "templater",
  "agent",
  "services",
  "render",
  "check",
  "explain",
  "acl",
  "watch",
  "expect",
  "tag",
  "drain",
  "undrain",
  "stop",
  "rollout",
  "journal",
  "rollback",
  "migrate",
  "doctor",
  "healthcheck",
  "config",
  "completion",
] as const;

/** The commands that take a command line of their own, after `--`. */
export const withCommandLine: readonly CommandName[] = ["watch", "expect", "rollout"];

/** The first word of a command line. */
export type CommandName = (typeof commandNames)[number];
