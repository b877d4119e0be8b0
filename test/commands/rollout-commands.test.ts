import { expect, it } from "vitest";
import { composeReplacement } from "../../src/commands/rollout-commands.ts";
import { container } from "../registrator/build.ts";

/** A container that compose has made for a service of a project. */
const made = (id: string, service = "web", files = "/srv/a.yaml,/srv/b.yaml") =>
  container({
    id,
    name: `shop-web-${id}`,
    labels: {
      "com.docker.compose.project": "shop",
      "com.docker.compose.service": service,
      "com.docker.compose.project.config_files": files,
    },
  });
const up = "docker compose up -d --no-deps";
const env = {
  COMPOSE_PROJECT_NAME: "shop",
  COMPOSE_FILE: "/srv/a.yaml,/srv/b.yaml",
  COMPOSE_PATH_SEPARATOR: ",",
};

it.each([
  ["the only one", [made("1"), made("2", "db")], [`${up} --force-recreate web`], []],
  [
    "one of two",
    [made("1"), made("2")],
    [`${up} --no-recreate --scale web=3 web`],
    ["docker stop 1", "docker rm 1"],
  ],
])("compose replaces %s", (_what, all, make, end) => {
  const replacement = composeReplacement(made("1"), all, {});
  expect(replacement.make.map((argv) => argv.join(" "))).toEqual(make);
  expect(replacement.end.map((argv) => argv.join(" "))).toEqual(end);
  expect(replacement.env).toEqual(env);
});

it("leaves compose its project and files where the environment names them", () => {
  expect(composeReplacement(made("1"), [made("1")], { COMPOSE_FILE: "/srv/c.yaml" }).env).toEqual({});
});

it("does not guess how anything else is replaced", () => {
  const other = container({ name: "web-1", labels: {} });
  expect(() => composeReplacement(other, [other], {})).toThrow(
    "compose has not made web-1, so nobody knows how to replace it",
  );
});
