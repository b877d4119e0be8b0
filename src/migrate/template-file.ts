import type { Language } from "./convert/expression.ts";
import { turnTemplate } from "./convert/template.ts";
import { parseGoTemplate } from "./go/parse.ts";
import { GoSyntaxError } from "./go/syntax-error.ts";
import type { Delimiters } from "./go/tokens.ts";
import type { OutFile } from "./migrated.ts";
import type { Note } from "./note.ts";

/** A Go template to be turned. */
export interface Original {
  readonly text: string;
  /** Where it stands, for notes. */
  readonly path: string;
  /** The line of `path` at which it begins. */
  readonly line: number;
  readonly language: Language;
  readonly delimiters?: Delimiters;
}

const braces: Delimiters = { left: "{{", right: "}}" };

/**
 * Turns a template into the file `target` and one for each template that it defines, beside it. One that Go could not
 * read either is told, and gives none.
 */
export function turnFile(original: Original, target: string, notes: Note[]): readonly OutFile[] {
  const { text, path, line: first, language, delimiters = braces } = original;
  const at = (line: number) => `${path}:${first + line - 1}`;
  const name = target.replace(/^.*\//, "");
  const folder = target.slice(0, target.length - name.length);
  try {
    const turned = turnTemplate(parseGoTemplate(text, delimiters), {
      language,
      at,
      tell: (kind, line, what, why) => notes.push({ kind, at: at(line), what, why }),
      prefix: name.replace(/\..*$/, ""),
    });
    const partials = [...turned.partials].map(([partial, body]) => ({
      path: `${folder}${partial}.hbs`,
      text: body,
    }));
    return [{ path: target, text: turned.text }, ...partials];
  } catch (error) {
    if (!(error instanceof GoSyntaxError)) throw error;
    notes.push({
      kind: "missing",
      at: at(error.line),
      what: "the template",
      why: `Go cannot read it: ${error.message}`,
    });
    return [];
  }
}

/**
 * The name of our template for a destination, so that its grammar is known: `haproxy.cfg.hbs`, `app.nginx.hbs`.
 * `taken` are the names that others have.
 */
export function templateName(destination: string, taken: ReadonlySet<string>): string {
  const name = destination.replace(/^.*\//, "") || "template";
  const plain = name.replace(/\.(cfg|conf)$/, "");
  const known = /^haproxy.*\.cfg$|^nginx.*\.conf$|\.(json|ya?ml|toml|env|haproxy|nginx)$/.test(name);
  const full = known
    ? name
    : /haproxy/.test(destination)
      ? `${plain}.haproxy`
      : /nginx/.test(destination)
        ? `${plain}.nginx`
        : name;
  for (let count = 1; ; count++) {
    const tried = count === 1 ? full : full.replace(/^([^.]*)/, `$1-${count}`);
    // Partials are known by what stands before the first dot.
    const path = `templates/${tried}.hbs`;
    if (!taken.has(path)) return path;
  }
}
