import { readFile } from "node:fs/promises";
import { PortolanError } from "../errors.ts";
import type { Target } from "./target.ts";

/** Numbers of a user and a group. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The owner that a target's file is to have: what the target says, else what `otherwise` is; undefined when
 * neither says anything. Names are those of /etc/passwd and /etc/group; users from elsewhere go by number.
 * Rejects with DESTINATION for a name that is in neither.
 */
export async function ownerOf(
  { owner, destination }: Target,
  otherwise: Owner | undefined,
): Promise<Owner | undefined> {
  if (owner === undefined) return otherwise;
  const number = async (name: string | undefined, file: string, what: string) => {
    if (name === undefined) return undefined;
    if (/^\d+$/.test(name)) return Number(name);
    const lines = (await readFile(file, "utf8").catch(() => "")).split("\n");
    const id = lines.map((line) => line.split(":")).find(([first]) => first === name)?.[2];
    if (id !== undefined) return Number(id);
    const reason = `there is no ${what} "${name}" in ${file}; create it, or give its number`;
    throw new PortolanError("DESTINATION", `${destination} was not written: ${reason}`);
  };
  const uid = await number(owner.user, "/etc/passwd", "user");
  const gid = await number(owner.group, "/etc/group", "group");
  return {
    uid: uid ?? otherwise?.uid ?? process.getuid?.() ?? 0,
    gid: gid ?? otherwise?.gid ?? process.getgid?.() ?? 0,
  };
}
