import { isIP } from "node:net";
import { shown } from "../escape/admit.ts";
import { jsonText, quoteWord, whyUnquotable } from "../escape/quote.ts";
import { slugOf } from "../escape/slug.ts";
import { type Call, type Helper, number, object, quoted, text, unquoted } from "./helper.ts";
import { bracketed } from "./text.ts";

/** Formats in which a JSON value is a value, too. */
const takesJson = new Set(["json", "yaml", "toml", "text"]);

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** True for a name that DNS could hold, or an IPv4 address. */
export function isHostName(name: string): boolean {
  return hostName.test(name);
}

function hostport(value: unknown, call: Call): string {
  const { address: given, port } = object(value);
  const address = text(given);
  if (isIP(address) === 0 && !isHostName(address)) {
    const reason = `address ${shown(address)} is neither an IP address nor a host name`;
    call.refuseValue(address, reason, (other) => isIP(other) !== 0 || isHostName(other));
  }
  return `${bracketed(address)}:${number(port)}`;
}

/** Values in the grammar of the file. */
export const output: Readonly<Record<string, Helper>> = {
  quote: {
    arity: [1, 1],
    named: [],
    call: ([value], _, call) => {
      const word = text(unquoted(value));
      const why = whyUnquotable(word, call.format);
      if (why === undefined) return quoted(quoteWord(word, call.format));
      call.refuseValue(
        word,
        `${shown(word)} ${why}`,
        (other) => whyUnquotable(other, call.format) === undefined,
      );
      return quoted("");
    },
  },
  json: {
    arity: [1, 1],
    named: [],
    // Elsewhere it is a text like any other: {{quote (json x)}} makes a word of it.
    call: ([value], _, call) => {
      const written = jsonText(unquoted(value));
      return takesJson.has(call.format) ? quoted(written) : written;
    },
  },
  slug: { arity: [1, 1], named: [], call: ([value], _, call) => slugOf(text(unquoted(value)), call.format) },
  hostport: { arity: [1, 1], named: [], call: ([instance], _, call) => hostport(instance, call) },
};
