// What a Docker changes in the root namespace's network, and how it is taken back.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { execNow } from "./exec.ts";

const tables = ["filter", "nat"] as const;

/** The state to come back to: lines of `iptables -S` per table, and whether the kernel forwards packets. */
export interface RootNetwork {
  readonly rules: Readonly<Record<(typeof tables)[number], readonly string[]>>;
  readonly forwarding: string;
}

const ipForward = "/proc/sys/net/ipv4/ip_forward";

/** The state of now. */
export function readRootNetwork(): RootNetwork {
  return {
    rules: { filter: listRules("filter"), nat: listRules("nat") },
    forwarding: readFileSync(ipForward, "utf8").trim(),
  };
}

/**
 * Deletes the rules that name the interface `bridge`, then what else Docker added since `before`: its chains, the
 * jumps to them, the policy of FORWARD, forwarding. Where another Docker is at home, only the former.
 */
export function restoreRootNetwork(bridge: string, before: RootNetwork): void {
  for (const table of tables) {
    const ours = listRules(table).filter(
      (rule) => rule.startsWith("-A ") && rule.split(" ").includes(bridge),
    );
    for (const rule of ours) change(table, rule.replace("-A ", "-D "));
  }
  if (existsSync("/sys/class/net/docker0")) return;
  for (const table of tables) {
    const added = listRules(table).filter((rule) => !before.rules[table].includes(rule));
    for (const rule of added) {
      if (/^-A (?!DOCKER).* -j DOCKER/.test(rule)) change(table, rule.replace("-A ", "-D "));
    }
    const chains = added.flatMap((rule) => /^-N (?<name>DOCKER\S*)$/.exec(rule)?.groups?.name ?? []);
    for (const chain of chains) change(table, `-F ${chain}`);
    for (const chain of chains) change(table, `-X ${chain}`);
    const policy = before.rules[table].find((rule) => rule.startsWith("-P FORWARD"));
    if (policy !== undefined) change(table, policy);
  }
  writeFileSync(ipForward, before.forwarding);
}

const change = (table: string, rule: string): void =>
  void execNow("iptables", ["-w", "-t", table, ...words(rule)]);

const listRules = (table: string): readonly string[] =>
  (execNow("iptables", ["-w", "-t", table, "-S"]) ?? "").split("\n").filter(Boolean);

/** Splits a rule at its blanks, quoted comments kept whole. */
const words = (rule: string): readonly string[] =>
  [...rule.matchAll(/"(?<quoted>[^"]*)"|(?<bare>\S+)/g)].map(
    ({ groups }) => groups?.quoted ?? groups?.bare ?? "",
  );
