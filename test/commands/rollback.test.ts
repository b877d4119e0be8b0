import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Entry } from "../../src/templater/journal.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, registryFolder } from "./registry-folder.ts";
import { runHere, templaterHere } from "./run-here.ts";

const soon = { within: 20_000 };
const ports = '{{#each (service "web")}}{{port}} {{/each}}';

/** A templater over a registry folder, with a make-believe proxy that keeps what it was reloaded with. */
function createPlace(
  templates: readonly { readonly name: string; readonly text: string; readonly group?: string }[],
) {
  const dir = tempDir("rollback");
  const registry = registryFolder(join(dir, "registry"));
  const out = (name: string) => join(dir, `out.${name}`);
  const write = (name: string, text: string) => writeFileSync(join(dir, `${name}.hbs`), text);
  for (const { name, text } of templates) write(name, text);
  const entries = templates.map(({ name, group }) => ({
    source: `${name}.hbs`,
    destination: out(name),
    ...(group && { group }),
    check: { shell: "! grep -q bad {{src}}" },
    reload: { shell: `cat ${templates.map((one) => out(one.name)).join(" ")} > ${join(dir, "running")}` },
  }));
  const config = {
    backend: registry.url,
    stateDir: join(dir, "state"),
    templater: { minInterval: "1ms", templates: entries },
  };
  writeFileSync(join(dir, "portolan.yaml"), JSON.stringify(config));
  const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
  return {
    dir,
    write,
    put: (port: number) => registry.put(instance("web", port)),
    live: (name: string) => read(out(name)),
    out,
    running: () => read(join(dir, "running")),
    run: (...argv: string[]) => runHere(argv, dir, process.env),
    start: () => templaterHere(dir),
    journal: async (...argv: string[]) =>
      JSON.parse((await runHere(["journal", "--json", ...argv], dir)).stdout) as readonly Entry[],
  };
}
type Place = ReturnType<typeof createPlace>;

const becomes = (place: Place, name: string, text: string) =>
  waitFor(
    `${name} to be ${JSON.stringify(text)}`,
    () => place.live(name) === text && place.running()?.includes(text),
    soon,
  );

it("B5: each change ends in one verdict in the journal, with cause, diff and durations, over restarts", async () => {
  const place = createPlace([{ name: "a", text: ports }]);
  const stop = place.start();
  await becomes(place, "a", "");
  place.put(80);
  await becomes(place, "a", "80 ");
  await stop();
  // While it runs it would read this as well, and might come to a verdict before it ends.
  place.write("a", `bad ${ports}`);
  const again = place.start();
  await waitFor("the refusal", async () => (await place.journal()).at(-1)?.verdict === "rejected", soon);
  await again();
  place.write("a", `good ${ports}`);
  const last = place.start();
  await becomes(place, "a", "good 80 ");
  await last();

  const entries = await place.journal();
  expect(entries.map(({ number }) => number)).toEqual(entries.map((_, index) => index + 1));
  expect(entries.map(({ verdict, cause }) => [verdict, ...cause])).toEqual([
    ["applied", "start"],
    ["applied", "service web"],
    ["rejected", "start"],
    ["applied", "start"],
  ]);
  expect(entries[1]).toMatchObject({
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    targets: [place.out("a")],
    by: "reload",
    files: [{ destination: place.out("a"), diff: expect.stringContaining("+80 ") }],
    tookMs: { stage: expect.any(Number), check: expect.any(Number), reload: expect.any(Number) },
  });
  expect(entries[2]?.why).toMatch(/^CHECK_FAILED: .*its check/);

  const { stdout, code } = await place.run("journal", "out.a", "--diff");
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^2 {2}\S+Z {2}applied by reload {2}\S+out\.a {2}for service web {2}in stage \d+ ms/m,
  );
  expect(stdout).toContain("+good 80 ");
  const other = await place.run("journal", "out.b");
  expect(other).toMatchObject({ code: 0, stdout: "" });
  expect(other.stderr).toContain(`no changes of out.b; there are some of ${place.out("a")}`);
});

it("rollback: the running templater goes back, stays there, goes further back, and is released", async () => {
  const place = createPlace([{ name: "a", text: ports }]);
  let stop = place.start();
  await becomes(place, "a", "");
  for (const [port, text] of [
    [80, "80 "],
    [81, "80 81 "],
    [82, "80 81 82 "],
  ] as const) {
    place.put(port);
    await becomes(place, "a", text);
  }
  const done = await place.run("rollback", "out.a");
  expect(done).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/as it was before change 4 .*for service web/),
  });
  expect([place.live("a"), place.running()]).toEqual(["80 81 ", "80 81 "]);
  expect((await place.journal()).at(-1)).toMatchObject({ verdict: "applied", cause: ["rollback"] });
  // What comes meanwhile waits, also over a restart.
  place.put(83);
  await stop();
  stop = place.start();
  expect((await place.run("rollback", place.out("a"))).code).toBe(0);
  expect([place.live("a"), place.running()]).toEqual(["80 ", "80 "]);
  expect((await place.run("rollback", "out.a", "--release")).code).toBe(0);
  await becomes(place, "a", "80 81 82 83 ");
  expect(await place.run("rollback", "out.a", "--release")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("there is no rollback to end"),
  });
  // The step that was released is a change as any other.
  expect((await place.run("rollback", "out.a")).code).toBe(0);
  expect(place.live("a")).toBe("80 ");
});

it("rollback: without a templater, a group goes back as a whole; the next templater leaves it there", async () => {
  const place = createPlace([
    { name: "a", text: `a ${ports}`, group: "lb" },
    { name: "b", text: "b", group: "lb" },
  ]);
  const stop = place.start();
  await becomes(place, "b", "b");
  place.put(80);
  await becomes(place, "a", "a 80 ");
  await stop();
  place.write("b", "b2");
  const again = place.start();
  await becomes(place, "b", "b2");
  await again();

  expect((await place.run("rollback", "lb")).code).toBe(0);
  expect([place.live("a"), place.live("b"), place.running()]).toEqual(["a 80 ", "b", "a 80 b"]);
  expect((await place.run("rollback", "out.b")).code).toBe(0);
  expect([place.live("a"), place.live("b"), place.running()]).toEqual(["a ", "b", "a b"]);
  const last = place.start();
  await waitFor("its word", async () => (await place.journal()).at(-1)?.verdict === "unchanged", soon);
  expect(place.live("a")).toBe("a ");
  await last();
  const none = await place.run("rollback", "lb");
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("has no file before change") });
});

it("rollback: changes nothing when the earlier file is refused, or not kept", async () => {
  const place = createPlace([{ name: "a", text: ports }]);
  const stop = place.start();
  await becomes(place, "a", "");
  place.put(80);
  await becomes(place, "a", "80 ");
  place.put(81);
  await becomes(place, "a", "80 81 ");
  await stop();
  const config = readFileSync(join(place.dir, "portolan.yaml"), "utf8");
  const withCheck = (check: string) =>
    writeFileSync(join(place.dir, "portolan.yaml"), config.replace("! grep -q bad {{src}}", check));
  withCheck("sleep 1.2; grep -q 81 {{src}}");
  expect(await runHere(["rollback", "out.a"], place.dir, process.env, true)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^checks and reloads out\.a\n.*CHECK_FAILED/s),
  });
  withCheck("grep -q 81 {{src}}");
  const again = place.start();
  await waitFor("its word", async () => (await place.journal()).length > 3, soon);
  expect(await place.run("rollback", "out.a")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("CHECK_FAILED"),
  });
  place.put(82);
  await becomes(place, "a", "80 81 82 ");
  await again();
  writeFileSync(join(place.dir, "portolan.yaml"), config.replace('"check"', '"backups":0,"check"'));
  const last = place.start();
  place.put(83);
  await becomes(place, "a", "80 81 82 83 ");
  await last();
  expect(await place.run("rollback", "out.a")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("is not kept any more"),
  });
});

it("rollback: says which targets there are", async () => {
  const place = createPlace([
    { name: "a", text: "a" },
    { name: "b", text: "b" },
  ]);
  for (const argv of [["rollback"], ["rollback", "out.c"]]) {
    const { code, stderr } = await place.run(...argv);
    expect(code).toBe(78);
    expect(stderr).toContain(`${place.out("a")}, ${place.out("b")}`);
  }
  expect(await place.run("journal")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: expect.stringContaining("no changes in"),
  });
});
