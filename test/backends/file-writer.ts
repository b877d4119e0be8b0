// A process that registers through the file backend, as file.test.ts runs it: beats and rewrites its record
// until its standard input ends, then vanishes without a goodbye.
import { ownerText } from "../../src/backends/backend.ts";
import { openFile } from "../../src/backends/file/file.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";

const [url = "", node = "", ttl = "1"] = process.argv.slice(2);
const owner = { node, engine: "WRITER", run: String(process.pid) };
const signal = new AbortController().signal;
const lease = (await openFile(parseBackendUrl(url), { env: {} })).lease(owner, Number(ttl));
process.stdin.on("end", () => process.exit(0)).resume();
for (let port = 1; ; port = (port % 60_000) + 1) {
  if (port % 20 === 1) await lease.renew(signal);
  await lease.register(
    {
      id: `${node}:web-1:80`,
      service: "web",
      address: "10.0.0.5",
      port,
      protocol: "tcp",
      // Different lengths, so that half of one and half of another would be seen.
      tags: ["x".repeat(port % 3000)],
      meta: {},
      weight: 1,
      state: "ready",
      node,
      owner: ownerText(owner),
    },
    signal,
  );
  await new Promise((resolve) => setTimeout(resolve, 2));
}
