import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { instancesOf } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { signal } from "../backends/backend-stage.ts";
import { eventually, someInstance, someOwner } from "../backends/contract/suite.ts";
import { tempDir } from "../servers/run.ts";
import { garbage } from "./garbage.ts";

it.each([
  ["garbage", 0],
  ["garbage of 10 MB a piece", 10 * 1024 * 1024],
])("file: %s among the records hides nothing, and is told in a few words (T3, T4)", async (_what, size) => {
  const dir = tempDir("file-faults");
  const backend = await openBackend(`file://${dir}`, { env: {} });
  const owner = someOwner();
  const lease = backend.lease(owner, 60);
  await lease.renew(signal);
  await lease.register(someInstance(owner), signal);
  const observation = backend.observe({ services: "all" });
  await eventually(observation, (now) => instancesOf(now, "web")?.length === 1);
  const folder = join(dir, "services", "web");
  mkdirSync(folder, { recursive: true });
  const texts = garbage(size);
  for (const [id, text] of texts) writeFileSync(join(folder, `${id}.json`), text);
  await lease.register(someInstance(owner, { id: `${owner.node}:second` }), signal);
  const seen = await eventually(
    observation,
    (now) => instancesOf(now, "web")?.length === 2 && now.invalid.size === texts.length,
    60_000,
  );
  expect([...seen.invalid.values()].filter((reason) => reason.length > 1_000)).toEqual([]);
  await lease.release(signal);
  await backend.close();
});
