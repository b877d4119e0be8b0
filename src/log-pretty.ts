const colours: Readonly<Record<string, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};

/**
 * One JSON line of the log as people read it: time, level, message, `key=value`. Control characters, which
 * may come from a container's labels, are made visible.
 */
export function prettyLine(line: string, colour: boolean): string {
  const { time, level, msg, err, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const name = String(level);
  const label = name.toUpperCase().padEnd(5);
  const parts = [
    clockTime(String(time)),
    colour ? `${colours[name] ?? ""}${label}\x1b[0m` : label,
    visible(String(msg)),
    ...Object.entries(fields).map(([key, value]) => `${key}=${word(value)}`),
    ...(err === undefined ? [] : errorWords(err as Readonly<Record<string, unknown>>)),
  ];
  return `${parts.join(" ")}\n`;
}

function errorWords({ code, message, cause, stack }: Readonly<Record<string, unknown>>): readonly string[] {
  const head = code === undefined ? "error:" : `${code}:`;
  const why = cause === undefined ? "" : ` (${cause})`;
  const trace = stack === undefined ? "" : `\n${stack}`;
  return [`${head} ${visible(`${message}${why}${trace}`)}`];
}

function word(value: unknown): string {
  if (typeof value === "string" && /^[\w.:/@+,-]+$/.test(value)) return value;
  return visible(JSON.stringify(value) ?? "");
}

/** `12:34:56.789` in local time. */
function clockTime(iso: string): string {
  const date = new Date(iso);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${iso.slice(20, 23)}`;
}

/** Further lines are indented, so that a line of the log begins with a time. */
function visible(text: string): string {
  return text
    .replaceAll("\n", "\n  ")
    .replace(
      /[\0-\x09\x0b-\x1f\x7f-\x9f]/g,
      (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
}
