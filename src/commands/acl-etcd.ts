import type { Layout } from "../backends/layouts/layout.ts";
import { encodeSegment } from "../instance.ts";
import { type Grant, nameOf, type Role, shellWord } from "./acl-role.ts";

type Permission = "read" | "readwrite";

/** Roles of etcd as commands of `etcdctl`, for a shell. */
export function etcdRights({ title, roles, node }: Grant, { services, root, whole }: Layout): string {
  const below = (permission: Permission, prefix: string) =>
    `${permission} --prefix=true ${shellWord(`${prefix}/`)}`;
  const nodes = `${root}/nodes`;
  const [overrides, templaters] = [`${root}/overrides`, `${root}/templaters`];
  // Who claims the nodes tells what was removed from what has run out.
  const read = [below("read", services), below("read", nodes)];
  const permissions: Readonly<Record<Role, readonly string[]>> = {
    registrator: [
      below("readwrite", services),
      ...(node === undefined
        ? [below("readwrite", nodes)]
        : [
            `readwrite ${shellWord(`${nodes}/${encodeSegment(node)}`)}`,
            // Where records do not say whose they are, the lists of the other hosts do.
            ...(whole ? [] : [below("read", nodes)]),
          ]),
      below("readwrite", overrides),
    ],
    templater: [...read, below("readwrite", templaters)],
    operator: [...read, below("readwrite", overrides), below("read", templaters)],
  };
  const grant = (role: Role, permission: string) =>
    `etcdctl role grant-permission ${nameOf(role)} ${permission}`;
  /** What is needed only where somebody asks for it, as comments. */
  const atNeed: Readonly<Record<Role, readonly string[]>> = {
    registrator: [
      "# Where containers have SERVICE_ROLE=elect, also:",
      `# ${grant("registrator", below("readwrite", `${root}/locks`))}`,
    ],
    templater: [
      "# Where templates read keys, also, for what they read:",
      `# ${grant("templater", "read --prefix=true KEYS")}`,
      "# Where reloads take turns, also:",
      `# ${grant("templater", below("readwrite", `${root}/locks`))}`,
    ],
    operator: [
      "# Where `expect --heal` is used, also:",
      `# ${grant("operator", below("readwrite", `${root}/heal`))}`,
      `# ${grant("operator", below("readwrite", `${root}/locks`))}`,
    ],
  };
  return [
    `# The least rights at ${title}, as roles of etcd: run this in a shell as etcd's root.`,
    "# Then each user gets its role, e.g. etcdctl user grant-role USER portolan-registrator",
    ...roles.flatMap((role) => [
      "",
      `# ${role}`,
      `etcdctl role add ${nameOf(role)}`,
      ...permissions[role].map((permission) => grant(role, permission)),
      ...atNeed[role],
    ]),
    "",
  ].join("\n");
}
