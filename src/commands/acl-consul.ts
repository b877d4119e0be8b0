import { aclRule as rule } from "../backends/consul/rights.ts";
import type { ListedLayout } from "../backends/layouts/layout.ts";
import { encodeSegment } from "../instance.ts";
import { type Grant, nameOf, type Role, shellWord } from "./acl-role.ts";

type Rules = Readonly<Record<Role, readonly string[]>>;

const sessions = rule("session_prefix", "", "write");

/** Of `consul://`. Nobody knows the names of services beforehand, so a registrator may write all of them. */
function ofServices(node: string | undefined): Rules {
  const read = [rule("service_prefix", "", "read"), rule("node_prefix", "", "read")];
  return {
    // With a node: its heartbeat only. Consul goes by the longest prefix that fits.
    registrator: [
      rule("service_prefix", "", "write"),
      ...(node === undefined
        ? []
        : [rule("service_prefix", "portolan:", "read"), rule("service", `portolan:${node}`, "write")]),
      rule("node_prefix", "", "read"),
    ],
    templater: [...read, sessions],
    operator: read,
  };
}

/** Of `consulkv://`. */
function ofKeys(
  { services, root }: Pick<ListedLayout, "services" | "root">,
  node: string | undefined,
): Rules {
  // Who claims the nodes tells what was removed from what has run out.
  const read = [rule("key_prefix", `${services}/`, "read"), rule("key_prefix", `${root}/nodes/`, "read")];
  return {
    registrator: [
      rule("key_prefix", `${services}/`, "write"),
      ...(node === undefined
        ? [rule("key_prefix", `${root}/nodes/`, "write")]
        : [
            rule("key_prefix", `${root}/nodes/`, "read"),
            rule("key", `${root}/nodes/${encodeSegment(node)}`, "write"),
          ]),
      sessions,
    ],
    templater: [...read, sessions],
    operator: read,
  };
}

/** Of the notes, which are keys in any case. */
function ofNotes(root: string): Rules {
  const overrides = rule("key_prefix", `${root}/overrides/`, "write");
  return {
    registrator: [overrides],
    templater: [rule("key_prefix", `${root}/templaters/`, "write")],
    operator: [overrides, rule("key_prefix", `${root}/templaters/`, "read")],
  };
}

/** What is needed only where somebody asks for it, as comments. */
function atNeed(root: string, hasSessions: boolean): Rules {
  const commented = (when: string, rules: readonly string[]) => [when, ...rules.map((text) => `# ${text}`)];
  return {
    registrator: commented("# Where containers have SERVICE_ROLE=elect, also:", [
      rule("key_prefix", `${root}/locks/`, "write"),
      ...(hasSessions ? [] : [sessions]),
    ]),
    templater: [
      ...commented("# Where templates read keys, also, for what they read:", [
        rule("key_prefix", "", "read"),
      ]),
      ...commented("# Where reloads take turns, also:", [rule("key_prefix", `${root}/locks/`, "write")]),
    ],
    operator: commented("# Where `expect --heal` is used, also:", [
      rule("key_prefix", `${root}/heal/`, "write"),
      rule("key_prefix", `${root}/locks/`, "write"),
      sessions,
    ]),
  };
}

/** Rules of Consul's ACL in HCL; with `layout` those of its KV store. */
export function consulRights(
  { title, roles, node }: Grant,
  layout?: Pick<ListedLayout, "services" | "root">,
): string {
  const root = layout?.root ?? "portolan";
  const ofRecords = layout ? ofKeys(layout, node) : ofServices(node);
  const [notes, more] = [ofNotes(root), atNeed(root, layout !== undefined)];
  const same = node === undefined ? "" : ` --node ${shellWord(node)}`;
  const howTo = roles.flatMap((role) => [
    `#   portolan acl ${role} ${shellWord(title)}${same} | consul acl policy create -name ${nameOf(role)} -rules -`,
    `#   consul acl token create -policy-name ${nameOf(role)}`,
  ]);
  return [
    `# The least rights at ${title}, as rules of Consul's ACL. For each role a policy and a token:`,
    ...howTo,
    ...roles.flatMap((role) => ["", `# ${role}`, ...ofRecords[role], ...notes[role], ...more[role]]),
    "",
  ].join("\n");
}
