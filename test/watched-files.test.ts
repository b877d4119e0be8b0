import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Watched, watchFiles } from "../src/watched-files.ts";
import { tempDir } from "./servers/run.ts";
import { waitFor } from "./servers/wait.ts";

const soon = { within: 20_000 };

/** A watch in a folder of its own; `told` are the names of what changed, in order. */
async function watching(of: (dir: string) => Watched, before: (dir: string) => void = () => {}) {
  const dir = tempDir("watched");
  before(dir);
  const told: string[] = [];
  const watch = watchFiles((paths) =>
    told.push(...[...paths].map((path) => path.slice(dir.length + 1)).sort()),
  );
  onTestFinished(watch.close);
  await watch.watch(of(dir));
  return {
    dir,
    told,
    watch,
    write: (name: string, text: string) => writeFileSync(join(dir, name), text),
    tells: (...names: string[]) =>
      waitFor(`word of ${names}`, () => names.every((name) => told.includes(name)), soon),
  };
}

const folder = (dir: string): Watched => ({ files: new Set(), folders: new Set([dir]) });

describe("watched files", () => {
  it("tells of templates that come, change and go, and of nothing else in their folder", async () => {
    const { told, tells, write, dir } = await watching(folder);
    write("a.hbs", "1");
    await tells("a.hbs");
    write("note.txt", "1");
    write(".draft.hbs", "1");
    told.length = 0;
    write("b.tmp", "2");
    renameSync(join(dir, "b.tmp"), join(dir, "a.hbs"));
    await tells("a.hbs");
    told.length = 0;
    rmSync(join(dir, "a.hbs"));
    await tells("a.hbs");
    expect(new Set(told)).toEqual(new Set(["a.hbs"]));
  });

  it("tells of a file that was not there, in a folder that was not there", async () => {
    const file = (dir: string) => join(dir, "later", "x");
    const { tells, dir } = await watching((dir) => ({ files: new Set([file(dir)]), folders: new Set() }));
    mkdirSync(join(dir, "later"));
    writeFileSync(file(dir), "1");
    await tells("later/x");
  });

  it("sees links that are exchanged, as Kubernetes does with a ConfigMap", async () => {
    const { told, tells, dir } = await watching(folder, (dir) => {
      for (const [version, text] of ["1", "22"].entries()) {
        mkdirSync(join(dir, `..v${version}`));
        writeFileSync(join(dir, `..v${version}`, "a.hbs"), text);
      }
      symlinkSync("..v0", join(dir, "..data"));
      symlinkSync("..data/a.hbs", join(dir, "a.hbs"));
    });
    expect(told).toEqual([]);
    symlinkSync("..v1", join(dir, "..next"));
    renameSync(join(dir, "..next"), join(dir, "..data"));
    await tells("a.hbs");
  });

  it("tells a file once that is written in pieces", async () => {
    const { told, tells, write } = await watching(folder);
    for (const text of ["1", "12", "123"]) {
      write("a.hbs", text);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await tells("a.hbs");
    expect(told).toEqual(["a.hbs"]);
  });

  it("goes on with what was watched before, and begins with what is new as it stands", async () => {
    const { told, tells, write, watch, dir } = await watching(folder);
    write("old.hbs", "1");
    write("x", "1");
    await watch.watch({ files: new Set([join(dir, "x")]), folders: new Set([dir]) });
    await tells("old.hbs");
    expect(told).toEqual(["old.hbs"]);
    write("x", "22");
    await tells("x");
    await watch.watch(folder(dir));
    told.length = 0;
    write("x", "333");
    write("old.hbs", "4444");
    await tells("old.hbs");
    expect(told).toEqual(["old.hbs"]);
  });

  it("tells nothing once it is closed", async () => {
    const { told, write, watch } = await watching(folder);
    await watch.close();
    write("a.hbs", "1");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(told).toEqual([]);
  });
});
