import { resolve } from "node:path";
import { type Budget, createBudget } from "../../handlebars/budget.ts";
import { text, truthy, unquoted } from "../../handlebars/helper.ts";
import { compare, type Instance, type State, states } from "../../instance.ts";
import { containerStates } from "../containers.ts";
import type { Call, Helper } from "./helper.ts";
import { createKeep } from "./kept.ts";

type Named = Readonly<Record<string, unknown>>;

const filters = ["tag", "role", "state", "node"];

/** The instances that the named arguments ask for: ready ones, unless `state` says otherwise. */
function chosen(instances: readonly Instance[], named: Named, budget: Budget): readonly Instance[] {
  budget.spend(instances.length);
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

/** The tags of all instances, each once, in order. */
function tagsOf(instances: readonly Instance[], budget: Budget): readonly string[] {
  const tags = instances.flatMap((instance) => instance.tags);
  budget.spend(1 + (tags.length >> 3));
  return [...new Set(tags)].sort(compare);
}

/** A service as `(services)` lists it. */
interface ServiceItem {
  readonly name: string;
  readonly tags: readonly string[];
  readonly instances: readonly Instance[];
}

const keepItem = createKeep<readonly Instance[], { readonly item: ServiceItem; readonly steps: number }>();

/**
 * Services as `(services)` lists them: `instances` are those that the named arguments ask for. The same list gives
 * the same object, in the same number of steps.
 */
export function serviceItems(
  named: Named,
  budget: Budget,
): (name: string, all: readonly Instance[]) => ServiceItem {
  const asked = filters.map((filter) => (filter in named ? unquoted(named[filter]) : null));
  const isPlain = asked.every((word) => word === null || typeof word === "string");
  const question = isPlain ? JSON.stringify(asked) : "";
  return (name, all) => {
    const make = () => {
      const own = createBudget(Number.POSITIVE_INFINITY);
      const item = { name, tags: tagsOf(all, own), instances: chosen(all, named, own) };
      return { item, steps: own.spent() };
    };
    const { item, steps } = isPlain
      ? keepItem(all, question, make, (before) => before.item.name === name)
      : make();
    budget.spend(steps);
    return item;
  };
}

/** What reads the world. Reading a service also subscribes to it. */
export const data: Readonly<Record<string, Helper>> = {
  service: {
    arity: [1, 1],
    named: filters,
    call: ([name], named, { view, budget }) => chosen(view.service(serviceName(name)), named, budget),
  },
  services: {
    arity: [0, 0],
    named: filters,
    // A service stays in the list while none of its instances is ready: templates answer for it then.
    call: (_, named, { view, budget }) => {
      const itemOf = serviceItems(named, budget);
      return view
        .services()
        .map(([name, all]) => itemOf(name, all))
        .filter(({ tags }) => !("tag" in named) || tags.includes(text(unquoted(named.tag))));
    },
  },
  master: {
    arity: [1, 1],
    named: ["tag", "state", "node"],
    // Two at once are none: writing to either may lose data.
    call: ([name], named, { view, budget }) => {
      const masters = chosen(view.service(serviceName(name)), { ...named, role: "master" }, budget);
      return masters.length === 1 ? masters[0] : null;
    },
  },
  slaves: {
    arity: [1, 1],
    named: ["tag", "state", "node"],
    call: ([name], named, { view, budget }) =>
      chosen(view.service(serviceName(name)), { ...named, role: "slave" }, budget),
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
  key: {
    arity: [1, 1],
    named: ["default"],
    call: ([name], { default: fallback }, { view }) => {
      const key = keyName(name);
      const value = view.key(key) ?? unquoted(fallback);
      if (value !== undefined) return value;
      throw new Error(`${key} has no value; write one, or (key "${key}" default="…")`);
    },
  },
  keyExists: {
    arity: [1, 1],
    named: [],
    call: ([name], _, { view }) => view.key(keyName(name)) !== undefined,
  },
  ls: {
    arity: [1, 1],
    named: ["required"],
    call: ([path], named, call) =>
      required(
        path,
        named,
        pairsBelow(path, call).filter(({ key }) => !key.includes("/")),
      ),
  },
  tree: {
    arity: [1, 1],
    named: ["required"],
    call: ([path], named, call) => required(path, named, pairsBelow(path, call)),
  },
  containers: {
    arity: [0, 0],
    named: ["label", "name", "state", "network", "self"],
    call: (_, named, { view, budget }) => {
      const wanted = (name: string) => (name in named ? text(unquoted(named[name])) : undefined);
      const [label, name, network] = [wanted("label"), wanted("name"), wanted("network")];
      const state = wanted("state") ?? "running";
      if (state !== "any" && !(containerStates as readonly string[]).includes(state))
        throw new Error(`state ${JSON.stringify(state)} is not one of ${containerStates.join(", ")}, any`);
      const chosen = view.containers({
        state,
        ...(label !== undefined && { label: labelOf(label) }),
        ...(name !== undefined && { name }),
        ...(network !== undefined && { network }),
        ...(truthy(named.self) && { id: view.ownContainer ?? "" }),
      });
      budget.spend(1 + view.containersKnown());
      return chosen;
    },
  },
  node: { arity: [0, 0], named: [], call: (_args, _named, { view }) => view.node },
};

/** `label`, or `label=value`. */
function labelOf(asked: string): { readonly name: string; readonly value?: string } {
  const at = asked.indexOf("=");
  return at < 0 ? { name: asked } : { name: asked.slice(0, at), value: asked.slice(at + 1) };
}

type Pair = { readonly key: string; readonly value: string };

/** The keys and values below a path, by key. */
function pairsBelow(path: unknown, { view, budget }: Call): readonly Pair[] {
  const tree = view.tree(keyName(path));
  budget.spend(tree.size);
  return [...tree].map(([key, value]) => ({ key, value }));
}

/** Throws for a folder without keys that is said to have some: a store that was emptied empties no file. */
function required(path: unknown, named: Named, pairs: readonly Pair[]): readonly Pair[] {
  if (pairs.length > 0 || !truthy(named.required)) return pairs;
  const name = keyName(path);
  throw new Error(`${name} has no keys; write one, or leave out required=true`);
}

/** A slash at the end means nothing. */
function keyName(value: unknown): string {
  const name = text(unquoted(value)).replace(/\/+$/, "");
  if (name === "") throw new Error("needs the name of a key");
  return name;
}

function serviceName(value: unknown): string {
  const name = text(unquoted(value));
  if (name === "") throw new Error("needs the name of a service");
  return name;
}
