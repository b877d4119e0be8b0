/** What `show info` says of a worker. */
export interface Info {
  readonly pid: number;
  /** Major and minor version as one number: 2.6 is 206. */
  readonly version: number;
  /** Whole seconds that it has run. */
  readonly uptime: number;
}

/** Reads `show info`; undefined when that is not what it is, as for a socket without the right. */
export function parseInfo(text: string): Info | undefined {
  const field = (name: string) => new RegExp(`^${name}: *(?<value>.*)$`, "m").exec(text)?.groups?.value;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(field("Version") ?? "") ?? [];
  const pid = Number(field("Pid"));
  const uptime = Number(field("Uptime_sec"));
  if (major === undefined || minor === undefined || !(pid > 0) || !(uptime >= 0)) return undefined;
  return { pid, version: Number(major) * 100 + Number(minor), uptime };
}

/** What `show proc` says of a master. */
export interface Master {
  readonly pid: number;
  readonly reloads: number;
  /** How many reloads in a row have failed. */
  readonly failed: number;
}

/** Reads `show proc`; undefined while there is no line for the master. */
export function parseProc(text: string): Master | undefined {
  const line = /^(?<pid>\d+)\s+master\s+(?<reloads>\d+)(?:\s+\[failed: (?<failed>\d+)\])?/m.exec(
    text,
  )?.groups;
  if (line === undefined) return undefined;
  return { pid: Number(line.pid), reloads: Number(line.reloads), failed: Number(line.failed ?? 0) };
}

/** Bits of `srv_admin_state`: maintenance and drain that somebody has ordered. See SRV_ADMF in HAProxy's sources. */
export const maintained = 0x01;
export const draining = 0x08;

/** A server as `show servers state` has it. */
export interface ServerState {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Bits: 1 and 4, forced or configured maintenance; 8, drain. See SRV_ADMF in HAProxy's management guide. */
  readonly admin: number;
}

/** Reads `show servers state`, version 1, into `pool/server`. Undefined when its format is another one. */
export function parseStates(text: string): ReadonlyMap<string, ServerState> | undefined {
  const [version, header = "", ...lines] = text.split("\n");
  if (version?.trim() !== "1" || !header.startsWith("# ")) return undefined;
  const names = header.slice(2).trim().split(" ");
  const column = (name: string) => names.indexOf(name);
  const columns = ["be_name", "srv_name", "srv_addr", "srv_port", "srv_uweight", "srv_admin_state"].map(
    column,
  );
  if (columns.includes(-1)) return undefined;
  const states = new Map<string, ServerState>();
  for (const line of lines) {
    const words = line.trim().split(" ");
    if (words.length < names.length) continue;
    const [pool, name, address = "", port, weight, admin] = columns.map((at) => words[at]);
    states.set(`${pool}/${name}`, {
      address,
      port: Number(port),
      weight: Number(weight),
      admin: Number(admin),
    });
  }
  return states;
}
