import { cpSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { exec } from "../servers/exec.ts";
import { tempDir } from "../servers/run.ts";
import { startProcess } from "./process.ts";

const root = join(import.meta.dirname, "../..");

/** What Node.js tells of the files that a program has loaded. */
const debug = { NODE_DEBUG: "portolan,module" };
const ofProgram = / load (\S+), compiled (before|now)$/gm;
const byNode = / load "([^"]+)" for module /g;

it("the program has a copy of every package", () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const copies = Object.keys(dependencies).map((name) => (name === "mysql2" ? "mysql2/promise" : name));
  expect(copies.filter((name) => !existsSync(join(root, `dist/packages/${name}.cjs`)))).toEqual([]);
});

it("a registrator finds all that it needs in a few files, so that it starts quickly", async () => {
  const folder = tempDir("bundle");
  const words = ["--dry-run", "--docker", `unix://${folder}/none`, `file://${folder}/registry`];
  const program = startProcess(["registrator", ...words], folder, debug);
  expect(await program.ended).toBe(1);
  const loaded = [...program.stderr().matchAll(ofProgram)].map(([, file = ""]) => file);
  expect(loaded).toContain(join(root, "dist/packages/dockerode.cjs"));
  expect(loaded).not.toContain(join(root, "dist/packages/etcd3.cjs"));
  expect(loaded.length).toBeLessThan(10);
  const besides = [...program.stderr().matchAll(byNode)].map(([, file = ""]) => file);
  expect(besides.filter((file) => file.includes("node_modules"))).toEqual([]);
});

describe("what V8 has compiled before", () => {
  const folder = tempDir("compiled");
  const cli = join(folder, "dist/cli.js");
  beforeAll(() => {
    for (const part of ["package.json", "templates", "dist"])
      cpSync(join(root, part), join(folder, part), {
        recursive: true,
        filter: (path) => path !== join(root, "dist/compiled"),
      });
    // What only looks makes no folders.
    for (const part of ["nodes", "services"]) mkdirSync(join(folder, "registry", part), { recursive: true });
  });

  /** What `portolan services` says, and how the files that it loaded came to be. */
  async function load() {
    const program = startProcess(["services", `file://${folder}/registry`], folder, debug, cli);
    expect(await program.ended).toBe(0);
    const loaded = [...program.stderr().matchAll(ofProgram)];
    const files = (how: string) => loaded.filter(([, , word]) => word === how).map(([, file]) => file);
    return { before: files("before"), now: files("now"), text: program.stdout().trim() };
  }

  const program = join(folder, "dist/program.cjs");
  const kept = join(folder, `dist/compiled/${process.version}-${process.arch}/program.cjs`);

  it("is kept beside the program, and taken with the copies of packages", async () => {
    expect(await load()).toMatchObject({ before: [], text: "no instances" });
    expect(await exec(process.execPath, [join(folder, "dist/compile-ahead.js")])).toBe("");
    const { before, now, text } = await load();
    expect(text).toBe("no instances");
    expect(before).toContain(program);
    expect(before).toContain(join(folder, "dist/packages/chokidar.cjs"));
    expect(now).toEqual([]);
  });

  it("is left when it is of another program, though of one as long", async () => {
    const source = readFileSync(program, "latin1");
    writeFileSync(program, source.replaceAll("no instances", "NO instances"), "latin1");
    expect(await load()).toMatchObject({ now: [program], text: "NO instances" });
    writeFileSync(program, source, "latin1");
    expect(await load()).toMatchObject({ now: [], text: "no instances" });
  });

  it("is left when it is damaged", async () => {
    const bytes = readFileSync(kept);
    for (let at = 100; at < bytes.length; at += 1000) bytes[at] = 0;
    writeFileSync(kept, bytes);
    expect(await load()).toMatchObject({ now: [program], text: "no instances" });
    truncateSync(kept, 3);
    expect(await load()).toMatchObject({ now: [program], text: "no instances" });
  });
});
