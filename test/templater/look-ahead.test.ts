import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { openStateDir } from "../../src/state-dir.ts";
import { install } from "../../src/templater/install.ts";
import { endLook, lookAhead } from "../../src/templater/look-ahead.ts";
import { openRecords } from "../../src/templater/records.ts";
import { tempDir } from "../servers/run.ts";
import { calm, quietTarget } from "./workspace.ts";

/** A folder with a file that this process has installed. */
async function installed() {
  const dir = tempDir("look-ahead");
  const folder = join(dir, "proxy");
  mkdirSync(folder);
  const target = quietTarget(join(folder, "proxy.cfg"));
  const records = await openRecords(await openStateDir(join(dir, "state")));
  const request = { turn: calm, records, revision: 0, changed: [], env: {}, log: { warn: () => {} } };
  const put = (text: string) => install({ ...request, files: [{ text, target }] });
  await put("old");
  const names = (at = folder) => readdirSync(at).sort();
  return { dir, folder, target, put, names, live: () => readFileSync(target.destination, "utf8") };
}

it("opens the staged file of other bytes ahead, with which the install goes on", async () => {
  const { target, put, names, live } = await installed();
  chmodSync(target.destination, 0o600);
  await put("older");
  lookAhead({ text: "new", target });
  expect((await put("new")).verdict).toBe("applied");
  expect([live(), names(), statSync(target.destination).mode & 0o7777]).toEqual([
    "new",
    ["proxy.cfg"],
    0o600,
  ]);
});

it("T5: opens nothing for the bytes that are live", async () => {
  const { folder, target, put } = await installed();
  const before = statSync(folder, { bigint: true }).mtimeNs;
  lookAhead({ text: "old", target });
  expect((await put("old")).verdict).toBe("unchanged");
  expect(statSync(folder, { bigint: true }).mtimeNs).toBe(before);
});

it("leaves nothing behind when nothing, or another text, is installed", async () => {
  const { target, put, names, live } = await installed();
  lookAhead({ text: "new", target });
  await endLook(target.destination);
  expect(names()).toEqual(["proxy.cfg"]);
  lookAhead({ text: "new", target });
  await put("other");
  await endLook(target.destination);
  expect([live(), names()]).toEqual(["other", ["proxy.cfg"]]);
});

it("T10: writes nothing into a folder that has come in the place of the one it knew", async () => {
  const { dir, folder, target, put, names } = await installed();
  const [away, elsewhere] = [join(dir, "away"), join(dir, "elsewhere")];
  renameSync(folder, away);
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, folder);
  lookAhead({ text: "new", target });
  await endLook(target.destination);
  expect([names(elsewhere), names(away)]).toEqual([[], [basename(target.destination)]]);
  // The link is this user's own: the file goes where it leads, after a look at all of the way.
  lookAhead({ text: "new", target });
  await put("new");
  expect([names(elsewhere), readFileSync(join(away, "proxy.cfg"), "utf8")]).toEqual([["proxy.cfg"], "old"]);
});

it("finds where the file is to stand when the folder that it knew takes none any more", async () => {
  const { dir, folder, target, put, names } = await installed();
  renameSync(folder, join(dir, "away"));
  lookAhead({ text: "new", target });
  await expect(put("new")).rejects.toMatchObject({ code: "DESTINATION" });
  mkdirSync(folder);
  await put("new");
  expect(names()).toEqual(["proxy.cfg"]);
});
