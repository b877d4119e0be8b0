import type { ShownInstance } from "../daemon-status.ts";
import type { Pieces } from "../status/pieces.ts";
import { type Child, h, s } from "./element.ts";
import { badge, fold, type Mood, title } from "./parts.ts";
import { age, count, secondsBetween } from "./words.ts";
import { hostsOf, type Service } from "./world.ts";

/** The mood of a state of an instance. */
export const moodOf: Readonly<Record<ShownInstance["state"], Mood>> = {
  ready: "good",
  starting: "warn",
  unhealthy: "bad",
  draining: "away",
  paused: "warn",
};

/** Rows up to which all services are open: of all, or of what was searched for. */
const mostOpen = 40;

/** Rows that are shown of one service. */
const mostRows = 200;

/** Services and hosts, with the instances of each. `sought` is what somebody has typed to find some. */
export function services(pieces: Partial<Pieces>, all: readonly Service[], sought: string): readonly Child[] {
  const total = all.reduce((sum, service) => sum + service.count, 0);
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const found =
    words.length === 0
      ? all
      : all.map((service) => narrowed(service, words)).filter(({ instances }) => instances.length > 0);
  const matching = found.reduce((sum, { instances }) => sum + instances.length, 0);
  return [
    title(
      "services",
      "Services and hosts",
      words.length > 0 ? `${count(matching, "instance")} found` : count(total, "instance"),
    ),
    h("div", { key: "search", class: "search" }, searchField()),
    h(
      "ul",
      { class: "hosts", "aria-label": "Hosts" },
      hostsOf(all).map(({ node, count: size, ready }) =>
        h("li", { key: node }, h("b", {}, node), ` ${ready} of ${size} ready`),
      ),
    ),
    pieces.reading?.contested.map(({ service, ids }) =>
      h(
        "p",
        { key: `contested ${service}`, class: "note bad" },
        `${service} has ${count(ids.length, "ready master")}, of which the files name one at most: ${ids.join(", ")}`,
      ),
    ),
    all.length === 0 && h("p", { class: "empty" }, "No instance is known yet."),
    words.length > 0 && matching === 0 && h("p", { class: "empty" }, "Nothing here matches."),
    h(
      "div",
      { class: "list" },
      found.map((service) =>
        fold(
          `service ${service.name}`,
          matching <= mostOpen,
          [
            h("b", { class: "name" }, service.name),
            badge(
              `${service.ready} of ${service.count} ready`,
              service.ready === service.count ? "good" : service.ready === 0 ? "bad" : "warn",
            ),
            bar(service),
          ],
          () => table(service, pieces.process?.now),
        ),
      ),
    ),
  ];
}

/** What is typed is no attribute, so it stays when the page is drawn anew. */
function searchField(): HTMLElement {
  return h("input", {
    type: "search",
    placeholder: "Find by name, address, state, tag or host",
    "aria-label": "Find instances",
    autocomplete: "off",
    spellcheck: "false",
  });
}

function narrowed(service: Service, words: readonly string[]): Service {
  const instances = service.instances.filter((one) => {
    const { id, address, port, state, role = "", tags, node, container } = one;
    const text = [
      service.name,
      id,
      `${address}:${port}`,
      state,
      role,
      node,
      container?.name,
      container?.image,
      ...tags,
    ].join(" ");
    return words.every((word) => text.toLowerCase().includes(word));
  });
  return { ...service, instances };
}

/** The states of a service's instances as a bar; the words stand beside it. */
function bar({ instances }: Service): SVGElement {
  let from = 0;
  const parts = Object.entries(moodOf).flatMap(([state, mood]) => {
    const size = instances.filter((one) => one.state === state).length;
    if (size === 0) return [];
    const x = from;
    from += (size / instances.length) * 100;
    return s("rect", { key: state, class: mood, x, y: 0, width: from - x, height: 6 });
  });
  return s(
    "svg",
    { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    parts,
  );
}

function table({ name, instances, count: size }: Service, now: string | undefined): Child {
  const shown = instances.slice(0, mostRows);
  const hasAge = shown.some(({ started }) => started !== undefined);
  const columns = ["Instance", "State", "Address", "Host", "Role and tags", ...(hasAge ? ["Age"] : [])];
  return [
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, `Instances of ${name}`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) => h("th", { scope: "col" }, column)),
        ),
      ),
      h(
        "tbody",
        {},
        shown.map((one) => row(one, now, hasAge)),
      ),
    ),
    size > shown.length &&
      h(
        "p",
        { class: "empty" },
        `${count(size - shown.length, "more instance")} not shown; search to find one.`,
      ),
  ];
}

function row(one: ShownInstance, now: string | undefined, hasAge: boolean): HTMLElement {
  const { id, state, address, port, protocol, node, role, tags, container, started, weight } = one;
  const host = address.includes(":") ? `[${address}]` : address;
  const other = tags.filter((tag) => tag !== role);
  return h(
    "tr",
    { key: id },
    h(
      "th",
      { scope: "row", "data-label": "Instance" },
      h("span", { class: "mono" }, id),
      container && h("small", {}, container.image),
    ),
    h("td", { "data-label": "State" }, badge(state, moodOf[state])),
    h(
      "td",
      { class: "mono", "data-label": "Address" },
      `${host}:${port}`,
      protocol !== "tcp" && `/${protocol}`,
    ),
    h("td", { "data-label": "Host" }, node),
    h(
      "td",
      { "data-label": "Role and tags" },
      h(
        "span",
        { class: "tags" },
        role && h("span", { class: `tag role ${role}` }, role),
        other.map((tag) => h("span", { key: tag, class: "tag" }, tag)),
        weight !== 1 && h("span", { class: "tag" }, `weight ${weight}`),
      ),
    ),
    hasAge &&
      h("td", { "data-label": "Age" }, started && now ? age(Math.max(0, secondsBetween(started, now))) : ""),
  );
}

/** What is not registered, and why; and what operators have ordered. */
export function remarks({ remarks: list = [], overrides = [] }: Partial<Pieces>): readonly Child[] {
  if (list.length === 0 && overrides.length === 0) return [];
  const mistakes = list.filter(({ kind }) => kind === "mistake").length;
  return [
    title("remarks", "Not registered, and why", mistakes > 0 && badge(count(mistakes, "mistake"), "warn")),
    h(
      "ul",
      { class: "remarks" },
      overrides.map((override) => h("li", {}, badge("ordered", "away"), h("span", {}, orderText(override)))),
      list
        .slice(0, mostRows)
        .map(({ kind, container, port, reason }) =>
          h(
            "li",
            { key: `${container} ${port ?? ""} ${reason}` },
            badge(kind === "mistake" ? "mistake" : "skipped", kind === "mistake" ? "warn" : "calm"),
            h(
              "span",
              {},
              h("b", { class: "mono" }, container),
              port && h("span", { class: "mono soft" }, ` port ${port}`),
              ` ${reason}`,
            ),
          ),
        ),
    ),
  ];
}

function orderText({ target, drain, tags }: NonNullable<Pieces["overrides"]>[number]): string {
  const what = [
    drain && `drained by ${drain.by}${drain.until ? ` until ${drain.until}` : ""}`,
    tags &&
      `tags by ${tags.by}: ${[...tags.added.map((tag) => `+${tag}`), ...tags.removed.map((tag) => `-${tag}`)].join(" ")}`,
  ];
  return `${target.id ?? `all of ${target.node}`}: ${what.filter(Boolean).join("; ")}`;
}
