// One process that contends for a lock, and tells on standard output, line by line, what it believes: see election-run.ts.
import { openBackend } from "../../src/backends/index.ts";
import { contend } from "../../src/registrator/roles/election.ts";
import type { Happening } from "./election-history.ts";

const [url = "", who = "", run = "", ttl = "", token] = process.argv.slice(2);
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
type Told = Happening extends infer One ? Omit<One & Happening, "at" | "who" | "run"> : never;
const tell = (what: Told) =>
  process.stdout.write(`${JSON.stringify({ at: now(), who, run: Number(run), ...what })}\n`);

let last = now();
setInterval(() => {
  const since = last;
  last = now();
  if (last - since > 120) tell({ kind: "stood still", since } as Told);
}, 20);

const backend = await openBackend(url, { env: {} });
const lock = backend.lock?.("roles/db", who, Number(ttl));
if (!lock) throw new Error(`${url} has no locks`);
let before = "";
await contend(
  lock,
  {
    before: () => (token ? { role: "master", epoch: token } : undefined),
    keeps: () => true,
    tell({ finding }) {
      const role = finding?.role ?? "unknown";
      const belief = { kind: "told", role, ...(role === "master" && { token: finding?.epoch }) };
      if (JSON.stringify(belief) !== before) tell(belief as unknown as Told);
      before = JSON.stringify(belief);
    },
  },
  new AbortController().signal,
);
