import { createHash } from "node:crypto";
import type { Layout } from "../backends/layouts/layout.ts";
import { type Grant, shellWord } from "./acl-role.ts";

/** Who writes: a user of the digest scheme; without a password a place for its hash is left. */
export interface Writer {
  readonly user: string;
  readonly password: string | undefined;
}

/**
 * The nodes that have to be there before, and their access lists, as commands of ZooKeeper's `zkCli.sh`. All else
 * is created by those who write, with all rights for their user and read for everybody.
 *
 * A list holds the rights of everybody at a node. One role alone writes there, and the others read as everybody does,
 * but for operators: they change what registrators have created, so they need the same user.
 */
export function zookeeperRights(
  { title, roles }: Pick<Grant, "title" | "roles">,
  { services, root }: Layout,
  { user, password }: Writer,
): string {
  const paths = [
    ...(roles.includes("registrator") ? [services, `${root}/nodes`, `${root}/overrides`] : []),
    ...(roles.includes("templater") ? [`${root}/templaters`] : []),
  ];
  const [locks, heal] = [`${root}/locks`, `${root}/heal`];
  const elects = "containers have SERVICE_ROLE=elect, or `expect --heal` is used";
  /** What is needed only where somebody asks for it; there is no operator but the user of the registrators. */
  const atNeed = roles.includes("registrator")
    ? [
        { when: roles.includes("templater") ? `${elects}, or reloads take turns` : elects, path: locks },
        { when: "`expect --heal` is used", path: heal },
      ]
    : [{ when: "reloads take turns (if registrators have this list, add the entry to theirs)", path: locks }];
  const hash =
    password === undefined ? "HASH" : createHash("sha1").update(`${user}:${password}`).digest("base64");
  const create = (path: string) => `create ${shellWord(path)}`;
  const setAcl = (path: string) => `setAcl ${shellWord(path)} digest:${user}:${hash}:cd,world:anyone:r`;
  return [
    `# The least rights at ${title}, as access lists of ZooKeeper: commands of zkCli.sh.`,
    `# ${whoOf(roles)} one user, here "${user}": zookeeper://…?user=${user}&password-file=FILE`,
    ...(roles.includes("templater")
      ? ["# A templater without a user only reads: then nobody waits until it has applied something."]
      : []),
    ...(password === undefined
      ? [
          "# HASH is told where the URL has ?user= and ?password-file=; or it is the output of",
          `#   printf %s ${user}:PASSWORD | openssl sha1 -binary | openssl base64`,
        ]
      : []),
    "# Nobody but the super user changes these lists afterwards: add an entry of your own with the right a if you wish.",
    "",
    ...[...new Set(paths.flatMap(pathTo))].map(create),
    "",
    "# c creates and d deletes what is below; r lists it.",
    ...paths.map(setAcl),
    "",
    ...atNeed.flatMap(({ when, path }) => [
      `# Where ${when}, also:`,
      `# ${create(path)}`,
      `# ${setAcl(path)}`,
      "",
    ]),
  ].join("\n");
}

function whoOf(roles: Grant["roles"]): string {
  if (roles.includes("registrator") && roles.includes("templater"))
    return "Registrators, operators and templaters have";
  return roles.includes("registrator") ? "Registrators and operators have" : "Templaters have";
}

/** A node and those above it, from the top. */
function pathTo(path: string): readonly string[] {
  const names = path.split("/").slice(1);
  return names.map((_, at) => `/${names.slice(0, at + 1).join("/")}`);
}
