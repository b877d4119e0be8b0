import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** What a program that has a `log` writes to standard error. */
function written(options: string, program: string): string {
  const source = join(import.meta.dirname, "../src/log.ts");
  const script = `import { createLog } from ${JSON.stringify(source)}; const log = createLog(${options}); ${program}`;
  const tsx = fileURLToPath(import.meta.resolve("tsx"));
  const argv = ["--import", tsx, "--input-type=module", "--eval", script];
  const { stderr, stdout } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  expect(stdout).toBe("");
  return stderr;
}

const json = '{ level: "info", format: "json", colour: false }';

it("writes one JSON object a line to standard error, from its level on", () => {
  const text = written(json, 'log.debug({}, "no"); log.info({ id: 1 }, "yes"); log.error({}, "too");');
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([
    { level: "info", time: expect.stringMatching(/^\d{4}-.*Z$/), id: 1, msg: "yes" },
    { level: "error", time: expect.any(String), msg: "too" },
  ]);
});

it("tells of an error its code, message and cause, and nothing that a client hangs on it", () => {
  const error =
    'Object.assign(new Error("refused", { cause: new Error("why") }), { code: "X", headers: "secret" })';
  const [info] = written(json, `log.warn({ err: ${error} }, "m");`).split("\n");
  expect(JSON.parse(info ?? "")).toMatchObject({ err: { code: "X", message: "refused", cause: "why" } });
  expect(info).not.toMatch(/secret|stack/);
  expect(written(json.replace("info", "debug"), `log.warn({ err: ${error} }, "m");`)).toContain('"stack"');
});

it("goes on when nobody reads it any more", () => {
  const source = join(import.meta.dirname, "../src/log.ts");
  const tsx = fileURLToPath(import.meta.resolve("tsx"));
  const script = `import { createLog } from ${JSON.stringify(source)};
    const log = createLog(${json});
    for (let i = 0; i < 50; i++) { log.info({ i }, "x".repeat(9999)); await new Promise((r) => setTimeout(r, 5)); }
    process.stdout.write("done");`;
  const shell = `"$0" --import "$1" --input-type=module --eval "$2" 2>&1 >&3 3>&- | true`;
  const out = execFileSync("/bin/sh", ["-c", `exec 3>&1; ${shell}`, process.execPath, tsx, script], {
    encoding: "utf8",
  });
  expect(out).toBe("done");
});
