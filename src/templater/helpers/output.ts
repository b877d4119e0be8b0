import { isIP } from "node:net";
import { wholeWeight } from "../../handlebars/budget.ts";
import { number, object, quoted, text, unquoted } from "../../handlebars/helper.ts";
import { bracketed } from "../../handlebars/text.ts";
import { jsonText, quoteWord, whyUnquotable, yamlText } from "../escape/quote.ts";
import { slugOf } from "../escape/slug.ts";
import type { Call, Helper } from "./helper.ts";

/** Formats in which a JSON value is a value, too. */
const takesJson = new Set(["json", "yaml", "toml", "text"]);

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** True for a name that DNS could hold, or an IPv4 address. */
export function isHostName(name: string): boolean {
  return hostName.test(name);
}

/** True for an address that a proxy can connect to and that means the same everywhere. */
export function isAddress(address: string): boolean {
  return isIP(address) !== 0 && !address.includes("%");
}

/** A helper that gives its argument as it is, and refuses what is not of a kind. */
function only(is: (text: string) => boolean, what: string): Helper {
  return {
    arity: [1, 1],
    named: [],
    call: ([value], _, call) => {
      const word = text(unquoted(value));
      if (!is(word)) call.refuseValue(word, (value) => `${value} is not ${what}`, is);
      return word;
    },
  };
}

function hostport(value: unknown, call: Call): string {
  const { address: given, port } = object(value);
  const address = text(given);
  if (isIP(address) === 0 && !isHostName(address)) {
    const reason = (value: string) => `address ${value} is neither an IP address nor a host name`;
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
        (value) => `${value} ${why}`,
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
      wholeWeight(value, call.budget);
      const written = jsonText(unquoted(value));
      return takesJson.has(call.format) ? quoted(written) : written;
    },
  },
  yaml: {
    arity: [1, 1],
    named: [],
    call: ([value], _, call) => {
      wholeWeight(value, call.budget);
      const written = yamlText(unquoted(value));
      return call.format === "yaml" || call.format === "text" ? quoted(written) : written;
    },
  },
  slug: { arity: [1, 1], named: [], call: ([value], _, call) => slugOf(text(unquoted(value)), call.format) },
  ip: only(isAddress, "an IP address"),
  hostname: only(isHostName, "a host name"),
  hostport: { arity: [1, 1], named: [], call: ([instance], _, call) => hostport(instance, call) },
};
