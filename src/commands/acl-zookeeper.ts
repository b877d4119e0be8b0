import { createHash } from "node:crypto";
import type { Layout } from "../backends/layouts/layout.ts";
import { type Grant, shellWord } from "./acl-role.ts";

/** Who the registrators are: a user of the digest scheme; without a password a place for its hash is left. */
export interface Registrators {
  readonly user: string;
  readonly password: string | undefined;
}

/**
 * The nodes that have to be there before, and their access lists, as commands of ZooKeeper's `zkCli.sh`. All else
 * is created by the registrators, with all rights for their user and read for everybody.
 *
 * A list holds the rights of everybody at once, so there are no parts of it for one role.
 */
export function zookeeperRights(
  { title }: Pick<Grant, "title">,
  { services, root }: Layout,
  { user, password }: Registrators,
): string {
  const nodes = `${root}/nodes`;
  const hash =
    password === undefined ? "HASH" : createHash("sha1").update(`${user}:${password}`).digest("base64");
  const registrator = (rights: string) => `digest:${user}:${hash}:${rights}`;
  return [
    `# The least rights at ${title}, as access lists of ZooKeeper: commands of zkCli.sh.`,
    `# All registrators have one user, here "${user}": zookeeper://…?user=${user}&password-file=FILE. Templaters need none.`,
    ...(password === undefined
      ? [
          "# HASH is told where the URL has ?user= and ?password-file=; or it is the output of",
          `#   printf %s ${user}:PASSWORD | openssl sha1 -binary | openssl base64`,
        ]
      : []),
    "# Nobody but the super user changes these lists afterwards: add an entry of your own with the right a if you wish.",
    "",
    ...[...new Set([...pathTo(services), ...pathTo(nodes)])].map((path) => `create ${shellWord(path)}`),
    "",
    "# registrator: c creates and d deletes what is below. Everybody, templaters among them: r lists it.",
    `setAcl ${shellWord(services)} ${registrator("cd")},world:anyone:r`,
    `setAcl ${shellWord(nodes)} ${registrator("cd")},world:anyone:r`,
    "",
    "# Where containers have SERVICE_ROLE=elect, also:",
    `# create ${shellWord(`${root}/locks`)}`,
    `# setAcl ${shellWord(`${root}/locks`)} ${registrator("cd")},world:anyone:r`,
    "",
  ].join("\n");
}

/** A node and those above it, from the top. */
function pathTo(path: string): readonly string[] {
  const names = path.split("/").slice(1);
  return names.map((_, at) => `/${names.slice(0, at + 1).join("/")}`);
}
