import { isIP } from "node:net";

/** A `server` line of a proxy, with what `default-server` adds to it. */
export interface Server {
  /** The name of its `backend` or `listen` section. */
  readonly pool: string;
  readonly name: string;
  /** As written: `10.0.0.1:80`. */
  readonly address: string;
  /** Address and port where both are plain numbers; undefined for names, sockets and offsets. */
  readonly endpoint: Endpoint | undefined;
  readonly weight: number;
  readonly disabled: boolean;
  /** All other settings, in their order. */
  readonly settings: readonly string[];
}

/** An IP address and a port. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** A HAProxy configuration in two parts. */
export interface Configuration {
  /** Everything but the servers of pools, without comments: what only a reload can change. */
  readonly skeleton: string;
  /** By `pool/server`, in the order of the file. */
  readonly servers: ReadonlyMap<string, Server>;
  /** Names of the sections that can have servers. */
  readonly pools: ReadonlySet<string>;
  /** Pools that fill one server after the other (`balance first`), so that the order of all counts. */
  readonly inOrder: ReadonlySet<string>;
}

const sections = new Set(
  "global defaults frontend backend listen peers resolvers userlist mailers program ring cache http-errors fcgi-app log-forward log-profile crt-store acme traces".split(
    " ",
  ),
);

/**
 * Takes a configuration apart; or says why it cannot be: it is none, or depends on conditions or variables
 * that only HAProxy knows.
 */
export function parseConfiguration(text: string): Configuration | string {
  const skeleton: string[] = [];
  const servers = new Map<string, Server>();
  /** The `default-server` words of each defaults section, by name, and of the last one under "". */
  const defaults = new Map<string, readonly string[]>();
  const pools = new Set<string>();
  const inOrder = new Set<string>();
  /** Some defaults section says so; which pools follow it is not looked into. */
  let allInOrder = false;
  let pool: string | undefined;
  let into: string | undefined;
  let inherited: readonly string[] = [];
  let isConfiguration = false;

  for (const line of text.split("\n")) {
    const words = wordsOf(line);
    if (words === undefined) return "it has a line that ends within quotes";
    const [keyword, first, ...rest] = words;
    if (keyword === undefined) continue;
    if (/^\.(if|elif|else|endif|diag|notice|warning|alert)$/.test(keyword)) return `it depends on ${keyword}`;
    if (sections.has(keyword)) {
      isConfiguration = true;
      pool = keyword === "backend" || keyword === "listen" ? first : undefined;
      if (pool !== undefined) pools.add(pool);
      into = keyword === "defaults" ? (first ?? "") : undefined;
      const heir = words.findIndex((word) => /^from$/.test(word));
      const parent = heir < 0 ? "" : (words[heir + 1] ?? "");
      inherited = defaults.get(parent) ?? [];
      if (into !== undefined) {
        if (heir < 0) inherited = [];
        defaults.set(into, inherited);
        defaults.set("", inherited);
      }
    } else if (keyword === "default-server") {
      inherited = [...inherited, ...words.slice(1)];
      if (into !== undefined) {
        defaults.set(into, inherited);
        defaults.set("", inherited);
      }
    } else if (keyword === "server" && pool !== undefined && first !== undefined) {
      const [address = "", ...settings] = rest;
      const key = `${pool}/${first}`;
      if (servers.has(key)) return `it has two servers ${key}`;
      servers.set(key, server(pool, first, address, [...inherited, ...settings]));
      continue;
    }
    if (keyword === "balance" && first === "first") {
      if (pool === undefined) allInOrder = true;
      else inOrder.add(pool);
    }
    skeleton.push(words.map((word) => JSON.stringify(word)).join(" "));
  }
  if (!isConfiguration) return "it is no HAProxy configuration";
  return { skeleton: skeleton.join("\n"), servers, pools, inOrder: allInOrder ? pools : inOrder };
}

function server(pool: string, name: string, address: string, words: readonly string[]): Server {
  const settings: string[] = [];
  let weight = 1;
  let disabled = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "weight") weight = Number(words[++at]);
    else if (word === "disabled" || word === "enabled") disabled = word === "disabled";
    else settings.push(word);
  }
  return { pool, name, address, endpoint: endpointOf(address), weight, disabled, settings };
}

/** `10.0.0.1:80`, `[fd00::1]:80` or `fd00::1:80`. */
function endpointOf(address: string): Endpoint | undefined {
  const { host = "", port = "" } = /^(?<host>.*):(?<port>\d+)$/.exec(address)?.groups ?? {};
  const ip = host.replace(/^\[(.*)\]$/, "$1");
  return isIP(ip) > 0 && Number(port) > 0 ? { ip, port: Number(port) } : undefined;
}

/** Whether a word can stand in a command to HAProxy as it is. */
export function isPlain(word: string): boolean {
  return /^[\w.:/@,+=%[\]()-]+$/.test(word);
}

/** What a backslash and a letter mean. */
const escapes: Readonly<Record<string, string>> = { t: "\t", r: "\r", n: "\n" };

/** The character that a backslash at `at` stands for, and how long that is written; undefined: it is one itself. */
function escaped(line: string, at: number, quoted: boolean): { char: string; length: number } | undefined {
  const next = line[at + 1] ?? "";
  const code = /^x(?<hex>[0-9a-f]{2})/i.exec(line.slice(at + 1, at + 4))?.groups?.hex;
  if (code !== undefined) return { char: String.fromCharCode(Number.parseInt(code, 16)), length: 4 };
  if (next !== "" && (" \\#'\"".includes(next) || (quoted && next === "$"))) return { char: next, length: 2 };
  const char = escapes[next];
  return char === undefined ? undefined : { char, length: 2 };
}

/**
 * The words of a line as HAProxy reads them: backslashes, quotes and comments (section 2.2 of its manual).
 * Variables stay as written, with their `$`; blanks are those of ASCII. Undefined when a quote is not closed.
 */
export function wordsOf(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? "";
    const meant = char === "\\" && quote !== "'" ? escaped(line, at, quote === '"') : undefined;
    if (meant !== undefined) {
      word = `${word ?? ""}${meant.char}`;
      at += meant.length - 1;
    } else if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === "#") {
      break;
    } else if (/[ \t-\r]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = `${word ?? ""}${char}`;
    }
  }
  if (quote !== undefined) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}
