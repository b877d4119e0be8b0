import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { copyBuilt } from "../examples/checkout.ts";
import { importNode } from "../examples/machine-image.ts";
import { startDockerHost } from "../servers/docker.ts";
import { tempDir } from "../servers/run.ts";
import { type Result, resultOf } from "./result.ts";

/** Bytes of a MB, as registries count. */
const megabyte = 1_000_000;

/** The image that the Dockerfile builds of this checkout, from a base of this machine's Node.js. */
export async function benchImage(): Promise<readonly Result[]> {
  const host = await startDockerHost({ inMemory: true });
  try {
    const checkout = tempDir("bench-image");
    await Promise.all([importNode(host), copyBuilt(checkout)]);
    await host.docker(["build", "--tag", "portolan", checkout], { within: 120_000 });
    const archive = join(tempDir("bench-image"), "portolan.tar");
    await host.docker(["save", "--output", archive, "portolan"], { within: 120_000 });
    const of = (bytes: number) => ({ product: [bytes / megabyte], floor: [] });
    return [
      resultOf("image", "unpacked", "MB", of(statSync(archive).size)),
      resultOf("image", "compressed", "MB", of(gzipSync(readFileSync(archive)).length), { below: 60 }),
    ];
  } finally {
    await host.stop();
  }
}
