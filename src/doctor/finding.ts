/** One thing that was looked at, and how it is. */
export interface Finding {
  /** `docker`, `address`, `backend <url>`, `backend` where none is given, or the path of a file. */
  readonly about: string;
  /** `wrong`: something will not work. `warning`: it may not, or nobody could try it. */
  readonly level: "ok" | "warning" | "wrong";
  readonly found: string;
  /** What that leads to, where it is not ok. */
  readonly means?: string;
  readonly wayOut?: string;
}

/** What is in order. */
export function ok(about: string, found: string): Finding {
  return { about, level: "ok", found };
}

/** What an error says: in this code base the way out stands behind the last semicolon of its message. */
export function troubleOf(
  about: string,
  level: "warning" | "wrong",
  error: unknown,
  means: string,
  wayOut?: string,
): Finding {
  const message = error instanceof Error ? error.message : String(error);
  const [, found = message, last] = /^(.*); ([^;\n]+)$/s.exec(message) ?? [];
  const way = last ?? wayOut;
  return { about, level, found, means, ...(way !== undefined && { wayOut: way }) };
}
