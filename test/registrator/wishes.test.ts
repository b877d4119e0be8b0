import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import type { LocalContainers } from "../../src/local-containers.ts";
import type { Log } from "../../src/log.ts";
import type { Engine } from "../../src/registrator/docker/engine.ts";
import { believing, createFoundRoles } from "../../src/registrator/found-roles.ts";
import { createReporter } from "../../src/registrator/report.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { createWishes } from "../../src/registrator/wishes.ts";
import { createCell } from "../../src/source.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";
import { container, engine, settings, unlisted } from "./build.ts";

const log = new Proxy({} as Log, { get: () => () => {} });

/** Wishes over one look at a Docker, and what they tell its observer. */
function wishesOver(
  seen: Engine,
  { docker = "unix:///d.sock", ...over }: Partial<RegistratorSettings> & { docker?: string } = {},
) {
  const cell = createCell<Engine>();
  cell.set(seen);
  const recalled: { id: string; draining: boolean }[] = [];
  const wishes = createWishes({
    source: {
      ...cell,
      refresh() {},
      recall: (records) => void recalled.push(...records),
      close: async () => {},
      whole: { ...createCell<LocalContainers>(), want() {} },
    },
    docker,
    settings: settings({ ip: "10.0.0.5", ...over }),
    env: {},
    run: "run",
    report: createReporter(log),
    roles: createFoundRoles(believing, () => {}),
  });
  return { wishes, recalled };
}

describe("the fate of a record", () => {
  const beside = (name: string, of: string) =>
    container({
      name,
      id: `id-${name}`,
      networkMode: `container:${of}`,
      networks: [],
      ports: [unlisted(80)],
    });
  const fateOf = (seen: Engine, id: string) => wishesOver(seen).wishes.current()?.fate(id);

  it("is not known while its container's network is that of one that cannot be read (R8)", () => {
    const seen = { ...engine(beside("side", "id-main")), unread: new Map([["id-main", "no answer"]]) };
    expect(wishesOver(seen).wishes.current()?.instances).toEqual([]);
    expect(fateOf(seen, "id-side")).toBe("unread");
  });

  it("also over several hops", () => {
    const seen = {
      ...engine(beside("side", "id-main"), beside("main", "id-other")),
      unread: new Map([["id-other", "no answer"]]),
    };
    expect(fateOf(seen, "id-side")).toBe("unread");
  });

  it("is that of a container that runs where the network's container is known to have gone", () => {
    const gone = { ...engine(beside("side", "id-main")), ended: new Map([["id-main", false]]) };
    expect(fateOf(gone, "id-side")).toBe("live");
    const other = { ...gone, unread: new Map([["id-else", "no answer"]]) };
    expect(fateOf(other, "id-side")).toBe("live");
    const circle = { ...engine(beside("a", "id-b"), beside("b", "id-a")), unread: other.unread };
    expect(fateOf(circle, "id-a")).toBe("live");
  });
});

describe("what is recalled of an earlier run", () => {
  const record = (id: string, state: Instance["state"]) =>
    someInstance(someOwner(), { id: `host1:${id}:80`, state, container: { id, name: id, image: "web" } });
  const running = engine(container({ id: "a", name: "a" }), container({ id: "b", name: "b" }));
  const recalledOf = (records: readonly Instance[], over: Partial<RegistratorSettings> = {}) => {
    const { wishes, recalled } = wishesOver(running, over);
    wishes.recall(records);
    return recalled.map(({ id, draining }) => `${id} ${draining}`);
  };

  it("is which of its records drain", () => {
    expect(recalledOf([record("a", "draining"), record("b", "ready")])).toEqual(["a true", "b false"]);
    expect(recalledOf([record("a", "draining"), record("b", "draining")])).toEqual(["a true", "b true"]);
  });

  it("is no drain where all that runs drains by --on-exit, which was cut short (R2)", () => {
    const over = { onExit: "drain" } as const;
    const gone = record("gone", "unhealthy");
    const drains = [record("a", "draining"), record("b", "draining"), gone];
    expect(recalledOf(drains, over)).toEqual(["a false", "b false", "gone false"]);
    expect(recalledOf([record("a", "draining"), record("b", "paused")], over)).toEqual(["a true", "b false"]);
  });
});

describe("what counts as left by gliderlabs/registrator", () => {
  it("is what its rules make for a host of this name", () => {
    const { wishes } = wishesOver(engine(), { node: "n1" });
    const names = ["host1", "n1", hostname(), "host2"];
    expect(names.filter((name) => wishes.isUpstream(`${name}:web:80`))).toEqual(["host1", "n1", hostname()]);
    expect(wishes.isUpstream("by-hand")).toBe(false);
  });

  it("is nothing of this host where Docker is another one's (R3)", () => {
    const { wishes } = wishesOver(engine(), { docker: "tcp://192.0.2.7:2375" });
    expect(wishes.isUpstream(`${hostname()}:web:80`)).toBe(false);
    expect(wishes.isUpstream("host1:web:80")).toBe(true);
  });

  it("is what has the id that a container gives with SERVICE_ID", () => {
    const { wishes } = wishesOver(engine(container({ labels: { SERVICE_ID: "shop" } })));
    wishes.current();
    expect(wishes.isUpstream("shop")).toBe(true);
    expect(wishes.isUpstream("by-hand")).toBe(false);
  });
});

it("registers what is published on IPv6 only at the host's IPv6 address, if it has one", () => {
  const ports = [{ port: 80, protocol: "tcp", bindings: [{ address: "::", port: 8080 }] } as const];
  const { wishes } = wishesOver(engine(container({ ports })), { ip: "interface:lo" });
  expect(wishes.current()?.instances.map(({ address, port }) => `${address} ${port}`)).toEqual(["::1 8080"]);
});
