import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "tsup";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { identity, isAlive, pidOf } from "../src/alive.ts";
import { openStateDir } from "../src/state-dir.ts";
import { tempDir } from "./servers/run.ts";

const source = join(import.meta.dirname, "../src/state-dir.ts");
const bundle = tempDir("bundle");

beforeAll(async () => {
  await build({ entry: [source], outDir: bundle, format: "esm", config: false, silent: true, clean: false });
});

/** Another process that tries to open the folder; resolves with "held", or with the error's message. */
async function openElsewhere(path: string) {
  const script = `
    import { openStateDir } from ${JSON.stringify(join(bundle, "state-dir.js"))};
    try { await openStateDir(${JSON.stringify(path)}); console.log("held"); setInterval(() => {}, 1e6); }
    catch (error) { console.log(error.code + " " + error.message); }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [said] = (await once(createInterface(child.stdout), "line")) as [string];
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { pid: child.pid ?? 0, said, kill };
}

const folder = () => join(tempDir("state"), "a/b");

describe("openStateDir", () => {
  it("creates the folder for this user only, and keeps texts", async () => {
    const path = folder();
    const state = await openStateDir(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(await state.read("x.json")).toBeUndefined();
    await state.write("x.json", "one");
    await state.write("x.json", "two");
    expect(await state.read("x.json")).toBe("two");
    expect(statSync(join(path, "x.json")).mode & 0o777).toBe(0o600);
    await state.close();
    await state.close();
    const again = await openStateDir(path);
    expect(await again.read("x.json")).toBe("two");
    expect(readdirSync(path)).toEqual(["lock.2", "x.json"]);
    await again.close();
  });

  it("finishes writes in hand when it is closed, and refuses later ones", async () => {
    const path = folder();
    const state = await openStateDir(path);
    const write = state.write("x", "one");
    await state.close();
    expect(existsSync(join(path, "x"))).toBe(true);
    await write;
    await expect(state.write("x", "two")).rejects.toMatchObject({ code: "FAILED" });
  });

  it("says what to do when the folder cannot be used", async () => {
    const file = join(tempDir("state"), "file");
    writeFileSync(file, "");
    await expect(openStateDir(join(file, "x"))).rejects.toMatchObject({
      code: "FAILED",
      message: expect.stringMatching(
        /state folder .*file\/x cannot be used: ENOTDIR.*set another --state-dir/,
      ),
    });
  });

  it("removes what a dead process left half-written, and nothing else", async () => {
    const path = folder();
    mkdirSync(path, { recursive: true });
    for (const name of [".x.json.00000000-1-1.4", ".x.json.mine", `.x.${identity()}.1`])
      writeFileSync(join(path, name), "");
    const state = await openStateDir(path);
    expect(readdirSync(path)).toEqual([`.x.${identity()}.1`, ".x.json.mine", "lock.1"]);
    await state.close();
  });
});

describe("the lock", () => {
  it("refuses a second process and names the first", async () => {
    const path = folder();
    const state = await openStateDir(path);
    const second = await openElsewhere(path);
    expect(second.said).toBe(
      `STATE_LOCKED state folder ${path} is in use by process ${process.pid}: end that one, or set another --state-dir`,
    );
    await expect(openStateDir(path)).rejects.toMatchObject({ code: "STATE_LOCKED" });
    await state.close();
    expect((await openElsewhere(path)).said).toBe("held");
  });

  it("is taken over from a process that was killed", async () => {
    const path = folder();
    const first = await openElsewhere(path);
    expect(first.said).toBe("held");
    await expect(openStateDir(path)).rejects.toThrow(`in use by process ${first.pid}`);
    await first.kill();
    const state = await openStateDir(path);
    await state.close();
  });

  it.each([
    ["whose pid another process has now", `${identity()?.replace(/\d+$/, "1")}`],
    ["of the boot before", `00000000${identity()?.slice(8)}`],
    ["that is empty", ""],
    ["that nobody can read", "what is this"],
  ])("is taken over from a holder %s", async (_, text) => {
    const path = folder();
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "lock.9"), text);
    const state = await openStateDir(path);
    expect(readdirSync(path)).toEqual(["lock.10"]);
    await state.close();
  });

  it("goes to exactly one of many that find it stale at once", async () => {
    for (let round = 0; round < 3; round++) {
      const path = folder();
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "lock.1"), "00000000-1-1");
      const others = await Promise.all(Array.from({ length: 6 }, () => openElsewhere(path)));
      const winners = others.filter(({ said }) => said === "held");
      expect(winners).toHaveLength(1);
      for (const { said } of others) {
        if (said !== "held") expect(said).toContain(`in use by process ${winners[0]?.pid}`);
      }
      await Promise.all(winners.map(({ kill }) => kill()));
    }
  });

  it("goes to exactly one at a time, however often it is taken and given free at once", async () => {
    const path = folder();
    let holders = 0;
    let taken = 0;
    const contend = async () => {
      for (let i = 0; i < 40; i++) {
        const state = await openStateDir(path).catch(() => undefined);
        if (state === undefined) continue;
        holders += 1;
        taken += 1;
        expect(holders).toBe(1);
        await state.write("x", `${taken}`);
        holders -= 1;
        await state.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, contend));
    expect(taken).toBeGreaterThan(8);
    expect(readdirSync(path).filter((name) => name.startsWith("lock."))).toHaveLength(1);
  });
});

describe("identity", () => {
  it("names a process until it has ended, zombies being no processes", async () => {
    const child = spawn("sh", ["-c", "exit 0 & exec sleep 1000"], { stdio: "ignore" });
    await once(child, "spawn");
    const text = identity(child.pid) ?? "";
    expect([isAlive(text), pidOf(text)]).toEqual([true, child.pid]);
    expect(isAlive(text.replace(/\d+$/, "1"))).toBe(false);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect([isAlive(text), identity(child.pid)]).toEqual([false, undefined]);
    expect([isAlive(""), isAlive("x"), pidOf("x")]).toEqual([false, false, undefined]);
  });
});
