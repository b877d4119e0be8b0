import { configJsonSchema } from "../config/json-schema.ts";
import { PortolanError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Context } from "./context.ts";

const words = ["show", "schema"];

/** `portolan config schema`: the JSON Schema of the config file. `config show` is another command's: config-show.ts. */
export async function runConfig({ settings, print }: Context): Promise<number> {
  const [word] = settings.names;
  if (word !== "schema") {
    const what = word === undefined ? "nothing is asked for" : `unknown word "${word}"`;
    const hint = word === undefined ? words.join(" or ") : nearest(word, words);
    throw new PortolanError("USAGE", `${what}; write portolan config ${hint}`);
  }
  print(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
  return 0;
}
