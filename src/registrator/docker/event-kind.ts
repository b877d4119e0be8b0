/** The actions that are told apart; Docker has some fifty, and writes the command of an `exec` behind its own. */
const kinds: ReadonlySet<string> = new Set([
  ...["create", "start", "restart", "pause", "unpause", "kill", "stop", "die", "oom", "destroy"],
  ...["rename", "update", "health_status", "connect", "disconnect"],
]);

/** An event's action as one of a few words: `health_status` of `health_status: healthy`, else `other`. */
export function eventKind(action: string): string {
  const [word = ""] = action.split(":");
  return kinds.has(word) ? word : "other";
}
