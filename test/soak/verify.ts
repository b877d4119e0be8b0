import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Instance } from "../../src/instance.ts";
import type { Expected } from "./fleet.ts";
import type { World } from "./world.ts";

const run = promisify(execFile);

/** What differs now from what has to be; nothing when all is in order. */
export async function differences(world: World): Promise<readonly string[]> {
  const found: string[] = [];
  for (const daemon of [world.registrator, world.templater]) {
    const reason = await daemon.notReady();
    if (reason !== undefined) found.push(`${daemon.name} is not ready: ${reason}`);
  }
  const { stdout } = await run(process.execPath, [world.cli, "services", "--json", world.store.url]);
  // What others wrote, such as Consul's own service, is none of ours.
  const owned = (JSON.parse(stdout) as Instance[]).filter(({ owner }) => owner !== undefined);
  const actual = owned.map(textOf);
  const expected = (await world.fleet.expected()).map(expectedText(world));
  for (const one of expected) if (!actual.includes(one)) found.push(`missing in the backend: ${one}`);
  for (const one of actual) if (!expected.includes(one)) found.push(`too much in the backend: ${one}`);
  if (found.length > 0) return found;

  const { env, config, check } = world.target;
  const render = [world.cli, "render", "--diff", "--node", "soak", "--config", config, world.store.url];
  await run(process.execPath, render, { env: { ...process.env, ...env } }).catch(
    (error: { stdout?: string; message: string }) =>
      found.push(`the rendered file is not what a fresh render gives:\n${error.stdout || error.message}`),
  );
  const [program = "", ...args] = check;
  await run(program, args).catch((error: Error) =>
    found.push(`the live file fails its check: ${error.message}`),
  );
  return found;
}

function textOf({ service, container, address, port, state }: Instance): string {
  return `${service} ${container?.name} ${address}:${port} ${state}`;
}

function expectedText({ host }: World) {
  return ({ service, container, port, state }: Expected) =>
    `${service} ${container} ${host.address}:${port} ${state}`;
}
