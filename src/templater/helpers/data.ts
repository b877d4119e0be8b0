import { resolve } from "node:path";
import { text, unquoted } from "../../handlebars/helper.ts";
import { compare, type Instance, type State, states } from "../../instance.ts";
import type { Helper } from "./helper.ts";

type Named = Readonly<Record<string, unknown>>;

const filters = ["tag", "role", "state", "node"];

/** The instances that the named arguments ask for: ready ones, unless `state` says otherwise. */
function chosen(instances: readonly Instance[], named: Named): readonly Instance[] {
  const wanted = (name: string) => (name in named ? text(unquoted(named[name])) : undefined);
  const [tag, role, node] = [wanted("tag"), wanted("role"), wanted("node")];
  const state = wanted("state") ?? "ready";
  if (state !== "any" && !states.includes(state as State)) {
    throw new Error(`state ${JSON.stringify(state)} is not one of ${states.join(", ")}, any`);
  }
  return instances.filter(
    (i) =>
      (state === "any" || i.state === state) &&
      (tag === undefined || i.tags.includes(tag)) &&
      (role === undefined || i.role === role) &&
      (node === undefined || i.node === node),
  );
}

/** What reads the world. Reading a service also subscribes to it. */
export const data: Readonly<Record<string, Helper>> = {
  service: {
    arity: [1, 1],
    named: filters,
    call: ([name], named, { view }) => chosen(view.service(serviceName(name)), named),
  },
  services: {
    arity: [0, 0],
    named: filters,
    // A service stays in the list while none of its instances is ready: templates answer for it then.
    call: (_, named, { view }) =>
      view
        .services()
        .map(([name, all]) => ({
          name,
          tags: [...new Set(all.flatMap((i) => i.tags))].sort(compare),
          instances: chosen(all, named),
        }))
        .filter(({ tags }) => !("tag" in named) || tags.includes(text(unquoted(named.tag)))),
  },
  master: {
    arity: [1, 1],
    named: ["tag", "state", "node"],
    // Two at once are none: writing to either may lose data.
    call: ([name], named, { view }) => {
      const masters = chosen(view.service(serviceName(name)), { ...named, role: "master" });
      return masters.length === 1 ? masters[0] : null;
    },
  },
  slaves: {
    arity: [1, 1],
    named: ["tag", "state", "node"],
    call: ([name], named, { view }) => chosen(view.service(serviceName(name)), { ...named, role: "slave" }),
  },
  env: {
    arity: [1, 1],
    named: ["default"],
    call: ([name], named, { view }) => {
      const value = view.env(text(name)) ?? unquoted(named.default);
      if (value !== undefined) return value;
      throw new Error(
        `the variable ${text(name)} is not set; set it, or write (env "${text(name)}" default="…")`,
      );
    },
  },
  file: {
    arity: [1, 1],
    named: ["default"],
    call: ([name], { default: fallback }, { view, folder, literals }) => {
      const asked = text(unquoted(name));
      const path = resolve(folder, asked);
      // A path made of what a registry says could lead anywhere.
      if (!literals.has(asked) && !path.startsWith(`${resolve(folder)}/`)) {
        throw new Error(
          `may read ${path} only if the path stands in the template; it does not, and is not below ${folder}`,
        );
      }
      const found = view.file(path);
      if ("text" in found) return found.text;
      if (fallback !== undefined) return unquoted(fallback);
      throw new Error(`${path} ${found.problem}; mend it, or write (file … default="…")`);
    },
  },
  node: { arity: [0, 0], named: [], call: (_args, _named, { view }) => view.node },
};

function serviceName(value: unknown): string {
  const name = text(unquoted(value));
  if (name === "") throw new Error("needs the name of a service");
  return name;
}
