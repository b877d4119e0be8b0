import type { Layout } from "../backends/layouts/layout.ts";
import { encodeSegment } from "../instance.ts";
import { type Grant, nameOf, type Role, shellWord } from "./acl-role.ts";

type Permission = "read" | "readwrite";

/** Roles of etcd as commands of `etcdctl`, for a shell. */
export function etcdRights({ title, roles, node }: Grant, { services, root, whole }: Layout): string {
  const below = (permission: Permission, prefix: string) =>
    `${permission} --prefix=true ${shellWord(`${prefix}/`)}`;
  const nodes = `${root}/nodes`;
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
    ],
    // It reads who claims the nodes to tell what was removed from what has run out.
    templater: [below("read", services), below("read", nodes)],
  };
  return [
    `# The least rights at ${title}, as roles of etcd: run this in a shell as etcd's root.`,
    "# Then each user gets its role, e.g. etcdctl user grant-role USER portolan-registrator",
    ...roles.flatMap((role) => [
      "",
      `# ${role}`,
      `etcdctl role add ${nameOf(role)}`,
      ...permissions[role].map((permission) => `etcdctl role grant-permission ${nameOf(role)} ${permission}`),
      ...(role === "registrator"
        ? [
            "# Where containers have SERVICE_ROLE=elect, also:",
            `# etcdctl role grant-permission ${nameOf(role)} ${below("readwrite", `${root}/locks`)}`,
          ]
        : []),
    ]),
    "",
  ].join("\n");
}
