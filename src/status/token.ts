import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { coded, PortolanError } from "../errors.ts";

/** The token that a request has to carry, as it stands in its file. */
export interface Token {
  /**
   * Whether an Authorization header carries it: as a bearer, or as the password of any user, which is what browsers
   * ask people for. Takes as long for a token that is nearly right as for one that is not.
   */
  isIn(authorization: string | undefined): boolean;
  /**
   * Reads the file again and resolves with whether it holds another token. Rejects with USAGE when it holds none:
   * then no request carries it until it holds one again.
   */
  reread(): Promise<boolean>;
}

/** Reads a token. Rejects with USAGE when the file cannot be read or holds no token. */
export async function openToken(file: string): Promise<Token> {
  let digest: Buffer | undefined = digestOf(await readToken(file));
  return {
    isIn(authorization) {
      const given = credentialOf(authorization ?? "");
      return given !== undefined && digest !== undefined && timingSafeEqual(digestOf(given), digest);
    },
    async reread() {
      const before = digest;
      digest = await readToken(file).then(digestOf, (error: unknown) => {
        digest = undefined;
        throw error;
      });
      return before === undefined || !before.equals(digest);
    },
  };
}

/** The token in a file: one word, with or without a line end. Rejects with USAGE. */
export async function readToken(file: string): Promise<string> {
  const wayOut = `write one into it, e.g. openssl rand -hex 32 > ${file}`;
  const bad = (why: string) => new PortolanError("USAGE", `listen token file ${file} ${why}; ${wayOut}`);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw bad(isMissing ? "does not exist" : `cannot be read: ${coded("FAILED", error).message}`);
  });
  const token = text.trim();
  if (token === "") throw bad("is empty");
  if (!/^[\x21-\x7e]+$/.test(token)) throw bad("holds more than one word, or other characters than ASCII");
  return token;
}

/** Digests are of one length, as the comparison wants them. */
const digestOf = (token: string) => createHash("sha256").update(token).digest();

/** What `Bearer TOKEN`, or the password of `Basic …`, says. */
function credentialOf(authorization: string): string | undefined {
  const [, scheme = "", rest = ""] = /^(\S+) +(\S+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return rest;
  if (scheme.toLowerCase() !== "basic") return undefined;
  const login = Buffer.from(rest, "base64").toString();
  const colon = login.indexOf(":");
  return colon < 0 ? undefined : login.slice(colon + 1);
}
