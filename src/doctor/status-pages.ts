import { stat } from "node:fs/promises";
import { readToken } from "../status/token.ts";
import { type Finding, ok, troubleOf } from "./finding.ts";

const about = "status pages";

/** Tokens that are shorter can be guessed by trying. */
const leastToken = 16;

/** The token that the status pages ask for; nothing where they ask for none. */
export async function lookAtStatusPages(tokenFile: string | undefined): Promise<readonly Finding[]> {
  if (tokenFile === undefined) return [];
  try {
    const { length } = await readToken(tokenFile);
    const { mode } = await stat(tokenFile);
    const warnings: Finding[] = [];
    if ((mode & 0o004) !== 0) {
      const means = "whoever has an account on this host can read all that the token guards";
      warnings.push(warning(`everybody may read ${tokenFile}`, means, `chmod 600 ${tokenFile}`));
    }
    if (length < leastToken) {
      const found = `the token in ${tokenFile} has no more than ${length} characters`;
      warnings.push(warning(found, "it can be guessed by trying", `openssl rand -hex 32 > ${tokenFile}`));
    }
    return warnings.length > 0 ? warnings : [ok(about, `ask for the token in ${tokenFile}`)];
  } catch (error) {
    return [troubleOf(about, "wrong", error, "no daemon starts with it")];
  }
}

function warning(found: string, means: string, wayOut: string): Finding {
  return { about, level: "warning", found, means, wayOut };
}
