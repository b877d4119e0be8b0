/** What a rule of Consul's ACL is about. */
type Kind = "service" | "service_prefix" | "node_prefix" | "key" | "key_prefix" | "session_prefix";

/** A rule of Consul's ACL in HCL, where `${` in a string would begin an expression. */
export function aclRule(kind: Kind, segment: string, policy: "read" | "write"): string {
  return `${kind} ${JSON.stringify(segment).replaceAll("${", "$${")} { policy = "${policy}" }`;
}

/** The way out for a token that may not do what it has to. */
export const seeRules = "`portolan acl consul` prints the rules that it needs";

/** What a token lacks, for a message. */
export function needs(...rules: readonly string[]): string {
  return `the token needs ${rules.join(" and ")}; ${seeRules}`;
}
