import { expect, it } from "vitest";
import { registeredOn, servicesOf } from "../../src/commands/registered-containers.ts";
import { container, engine } from "../registrator/build.ts";
import { instance } from "./registry-folder.ts";

const look = {
  engine: engine(...["web-10", "web-2", "job"].map((name) => container({ id: `id of ${name}`, name }))),
};
const of = (name: string, service: string, id = `host1:${name}:80`) =>
  instance(service, 80, { id, container: { id: `id of ${name}`, name, image: "web" } });

it("finds what the backend holds of each container that runs, in the order that people count in", () => {
  const before = { id: "another life", name: "web-2", image: "web" };
  const all = [
    of("web-10", "web"),
    of("web-2", "web", "given"),
    of("web-2", "admin"),
    instance("web", 80, { id: "host1:web-2:80", container: before }),
  ];
  const found = registeredOn(look, all, undefined);
  expect(found.map(({ container: { name } }) => name)).toEqual(["job", "web-2", "web-10"]);
  expect(found.map(({ instances }) => instances)).toEqual([[], [all[1], all[2]], [all[0]]]);
  expect(found.map(({ instances }) => servicesOf(instances))).toEqual([[], ["web", "admin"], ["web"]]);
});

it("goes by the id where a layout holds no container", () => {
  const all = ["host1:web-2:80", "host1:web-10:80", "host2:web-2:80"].map((id) =>
    instance("web", 80, { id }),
  );
  const ids = (node: string | undefined) =>
    registeredOn(look, all, node).flatMap(({ instances }) => instances.map(({ id }) => id));
  expect(ids(undefined)).toEqual(["host1:web-2:80", "host1:web-10:80"]);
  expect(ids("host2")).toEqual(["host2:web-2:80"]);
});
