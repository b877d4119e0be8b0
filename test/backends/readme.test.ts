// src/backends/README.md: the backend that it shows keeps the contract, and is the one that is tested here.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { signal } from "./backend-stage.ts";
import { contractSuite } from "./contract/suite.ts";
import { openShelf } from "./shelf/shelf.ts";
import { createStore } from "./shelf/store.ts";

const folder = join(import.meta.dirname, "../../src/backends");
const readme = () => readFileSync(join(folder, "README.md"), "utf8");

contractSuite({
  name: "the backend of the README",
  ttl: 1,
  async start() {
    const store = createStore();
    const title = "shelf:";
    return {
      open: async () => openShelf(store, title),
      async openMortal() {
        const backend = openShelf(store, title);
        return { backend, die: () => backend.close() };
      },
      async plant(instance) {
        const lease = openShelf(store, title).lease({ node: "planter", engine: "X", run: "1" }, 0);
        await lease.renew(signal);
        await lease.register(instance, signal);
      },
      async unclaim(node) {
        const key = `/nodes/${node}`;
        const seen = (await store.read(key)).get(key)?.version;
        await store.commit([{ key, seen, to: "gone" }]);
      },
      cut: async () => store.away(),
      heal: async () => store.back(),
      wipe: async () => store.wipe(),
      close: async () => {},
    };
  },
});

describe("src/backends/README.md", () => {
  it("shows the backend that is tested here", () => {
    const [, shown] = /^```ts\n(.*?)^```$/ms.exec(readme()) ?? [];
    const tested = readFileSync(join(import.meta.dirname, "shelf/shelf.ts"), "utf8");
    expect(shown).toBe(tested.replaceAll("../../../src/backends/", "./").replaceAll("../../../src/", "../"));
  });

  it("links to files that are there", () => {
    const links = [...readme().matchAll(/\]\(([^)#]+)/g)].map(([, link = ""]) => link);
    expect(links.filter((link) => !existsSync(join(folder, link)))).toEqual([]);
  });
});
