import { createHash } from "node:crypto";
import { shortHash } from "./hash.ts";
import { type Helper, pure, text } from "./helper.ts";

function decodeBase64(encoded: string): string {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(encoded)) throw new Error("needs a text in Base64");
  return Buffer.from(encoded, "base64").toString("utf8");
}

function parseJson(written: string): unknown {
  try {
    return JSON.parse(written) as unknown;
  } catch (cause) {
    // Without the parser's words: they quote the text, which may be a secret.
    throw new Error("needs a text that is JSON", { cause });
  }
}

/** Texts that stand for other texts. */
export const encodings: Readonly<Record<string, Helper>> = {
  base64Encode: pure(1, 1, (value) => Buffer.from(text(value), "utf8").toString("base64")),
  base64Decode: pure(1, 1, (value) => decodeBase64(text(value))),
  sha256: pure(1, 1, (value) => createHash("sha256").update(text(value)).digest("hex")),
  hash: pure(1, 1, (value) => shortHash(text(value))),
  parseJSON: { ...pure(1, 1, (value) => parseJson(text(value))), cost: 4 },
};
