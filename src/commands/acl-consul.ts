import { aclRule as rule } from "../backends/consul/rights.ts";
import type { ListedLayout } from "../backends/layouts/layout.ts";
import { encodeSegment } from "../instance.ts";
import { type Grant, nameOf, type Role, shellWord } from "./acl-role.ts";

/** Of `consul://`. Nobody knows the names of services beforehand, so a registrator may write all of them. */
const ofServices: Rules = {
  // With a node: its heartbeat only. Consul goes by the longest prefix that fits.
  registrator: (node) => [
    rule("service_prefix", "", "write"),
    ...(node === undefined
      ? []
      : [rule("service_prefix", "portolan:", "read"), rule("service", `portolan:${node}`, "write")]),
    rule("node_prefix", "", "read"),
  ],
  templater: () => [rule("service_prefix", "", "read"), rule("node_prefix", "", "read")],
};

/** Of `consulkv://`. */
const ofKeys = ({ services, root }: Pick<ListedLayout, "services" | "root">): Rules => ({
  registrator: (node) => [
    rule("key_prefix", `${services}/`, "write"),
    ...(node === undefined
      ? [rule("key_prefix", `${root}/nodes/`, "write")]
      : [
          rule("key_prefix", `${root}/nodes/`, "read"),
          rule("key", `${root}/nodes/${encodeSegment(node)}`, "write"),
        ]),
    rule("session_prefix", "", "write"),
  ],
  // It reads who claims the nodes to tell what was removed from what has run out.
  templater: () => [rule("key_prefix", `${services}/`, "read"), rule("key_prefix", `${root}/nodes/`, "read")],
});

type Rules = Readonly<Record<Role, (node: string | undefined) => readonly string[]>>;

/** What a registrator needs besides, as comments: only where somebody asks for it. */
function elections(root: string, hasSessions: boolean): readonly string[] {
  return [
    "# Where containers have SERVICE_ROLE=elect, also:",
    ...[
      rule("key_prefix", `${root}/locks/`, "write"),
      ...(hasSessions ? [] : [rule("session_prefix", "", "write")]),
    ].map((text) => `# ${text}`),
  ];
}

/** Rules of Consul's ACL in HCL; with `layout` those of its KV store. */
export function consulRights(
  { title, roles, node }: Grant,
  layout?: Pick<ListedLayout, "services" | "root">,
): string {
  const rules = layout ? ofKeys(layout) : ofServices;
  const same = node === undefined ? "" : ` --node ${shellWord(node)}`;
  const howTo = roles.flatMap((role) => [
    `#   portolan acl ${role} ${shellWord(title)}${same} | consul acl policy create -name ${nameOf(role)} -rules -`,
    `#   consul acl token create -policy-name ${nameOf(role)}`,
  ]);
  return [
    `# The least rights at ${title}, as rules of Consul's ACL. For each role a policy and a token:`,
    ...howTo,
    ...roles.flatMap((role) => [
      "",
      `# ${role}`,
      ...rules[role](node),
      ...(role === "registrator" ? elections(layout?.root ?? "portolan", layout !== undefined) : []),
    ]),
    "",
  ].join("\n");
}
