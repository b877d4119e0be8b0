import type { Role } from "../../instance.ts";

/** How the role of an instance is found: what `SERVICE_ROLE` says besides `master` and `slave`. */
export type RoleSource =
  | { readonly by: "redis" | "postgres" | "mysql" }
  | { readonly by: "elect" }
  | { readonly by: "http"; readonly path: string };

/** Words for messages, where a role could not be read. */
export const roleWords = "master, slave, elect, redis, postgres, mysql or http:/path";

/** The role or how to find it; undefined where the text is neither. */
export function readRole(text: string): Role | RoleSource | undefined {
  if (text === "master" || text === "slave") return text;
  if (text === "elect") return { by: text };
  if (text === "redis" || text === "postgres" || text === "mysql") return { by: text };
  const path = /^http:(\/[\x21-\x7e]*)$/.exec(text)?.[1];
  return path === undefined || path.startsWith("//") ? undefined : { by: "http", path };
}

/** As it stands in `claim.by`. */
export function claimant(source: RoleSource): string {
  return source.by === "http" ? `http:${source.path}` : source.by;
}
