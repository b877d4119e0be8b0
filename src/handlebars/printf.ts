import { number, text } from "./helper.ts";

const verb = /%(?<flags>[-+0]*)(?<width>\d{0,3})(?:\.(?<digits>\d{1,2}))?(?<kind>.?)/gsu;

/**
 * A text with values in it, as in Go: `%s` and `%v` any value, `%d` a whole number, `%f` one with a fraction
 * (`%.2f`), `%x` hexadecimal, `%q` in double quotes, `%%` a percent sign; `%5d`, `%-5s` and `%05d` pad, `%.12s` cuts.
 */
export function printf(format: string, values: readonly unknown[]): string {
  let used = 0;
  const out = format.replace(
    verb,
    (_, flags: string, width: string, digits: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      if (used >= values.length) throw new Error(`has no value for %${kind}: ${values.length} are given`);
      const value = values[used++];
      return padded(write(kind, value, flags, digits), flags, Number(width), kind);
    },
  );
  if (used < values.length) throw new Error(`takes ${used} values for this format, not ${values.length}`);
  return out;
}

function write(kind: string, value: unknown, flags: string, digits: string | undefined): string {
  const signed = (read: number, words: string) => (flags.includes("+") && read >= 0 ? `+${words}` : words);
  const cut = (words: string) =>
    digits === undefined ? words : [...words].slice(0, Number(digits)).join("");
  switch (kind) {
    case "s":
    case "v":
      return cut(text(value));
    case "q":
      return JSON.stringify(cut(text(value)));
    case "f":
      return signed(number(value), number(value).toFixed(Number(digits ?? 6)));
    case "d":
    case "x": {
      const read = number(value);
      if (!Number.isInteger(read)) throw new Error(`needs a whole number for %${kind}, not ${read}`);
      return signed(read, read.toString(kind === "d" ? 10 : 16));
    }
    default:
      throw new Error(`does not know %${kind}; it knows %s, %v, %d, %f, %x, %q and %%`);
  }
}

function padded(words: string, flags: string, width: number, kind: string): string {
  if (flags.includes("-")) return words.padEnd(width);
  if (!flags.includes("0") || kind === "s" || kind === "v" || kind === "q") return words.padStart(width);
  const [sign = "", digits = ""] = [/^[+-]?/.exec(words)?.[0], words.replace(/^[+-]/, "")];
  return sign + digits.padStart(width - sign.length, "0");
}
