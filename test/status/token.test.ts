import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { openToken } from "../../src/status/token.ts";
import { tempDir } from "../servers/run.ts";

let file: string;
beforeEach(() => {
  file = join(tempDir("token"), "token");
  writeFileSync(file, "first-token\n");
});

const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;

describe("a token", () => {
  it.each<[authorization: string | undefined, isIn: boolean]>([
    ["Bearer first-token", true],
    ["bearer  first-token", true],
    [basic(":first-token"), true],
    [basic("anybody:first-token"), true],
    [undefined, false],
    ["", false],
    ["Bearer", false],
    ["Bearer ", false],
    ["Bearer first-toke", false],
    ["Bearer first-token2", false],
    ["Bearer first-token first-token", false],
    ["first-token", false],
    ["Digest first-token", false],
    [basic("first-token"), false],
    [basic("first-token:"), false],
  ])("is in %j: %s", async (authorization, isIn) => {
    expect((await openToken(file)).isIn(authorization)).toBe(isIn);
  });

  it("is another one once its file has changed, and none while that holds none", async () => {
    const token = await openToken(file);
    expect(await token.reread()).toBe(false);
    writeFileSync(file, "second-token");
    expect(await token.reread()).toBe(true);
    expect(["first-token", "second-token"].map((one) => token.isIn(`Bearer ${one}`))).toEqual([false, true]);
    writeFileSync(file, "");
    await expect(token.reread()).rejects.toThrow("is empty");
    expect(["", "second-token"].map((one) => token.isIn(`Bearer ${one}`))).toEqual([false, false]);
    writeFileSync(file, "second-token");
    expect(await token.reread()).toBe(true);
    expect(token.isIn("Bearer second-token")).toBe(true);
  });

  it.each([
    [undefined, /does not exist; write one into it, e\.g\. openssl rand -hex 32 > /],
    ["", /is empty; write one/],
    [" \n", /is empty/],
    ["two words", /more than one word/],
    ["two\nlines\n", /more than one word/],
    ["schlüssel", /other characters than ASCII/],
  ])("does not stand in a file with %j", async (text, message) => {
    if (text === undefined) rmSync(file);
    else writeFileSync(file, text);
    await expect(openToken(file)).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringMatching(message),
    });
  });
});
