import { readFileSync } from "node:fs";
import { join } from "node:path";
import Handlebars from "handlebars";
import type { Instance } from "../../../src/instance.ts";
import type { Services } from "./world.ts";

/** A template that bare Handlebars understands too. */
export interface BenchTemplate {
  readonly name: string;
  readonly text: string;
}

/** A pool for each service in as few words as that takes, and the shipped template for HAProxy. */
export function readTemplates(root: string): readonly BenchTemplate[] {
  return [
    { name: "small template", text: small },
    { name: "haproxy.cfg.hbs", text: readFileSync(join(root, "templates/haproxy.cfg.hbs"), "utf8") },
  ];
}

const small = `{{#each (services)}}
backend {{name}}
{{#each instances}}
    server {{id}} {{address}}:{{port}} weight {{weight}}
{{/each}}
{{/each}}
`;

/** The floor: the same template with the helpers that it calls, in a line each: no admission, no limits, nothing noted. */
export function createBare({ text }: BenchTemplate): (services: Services) => string {
  const environment = Handlebars.create();
  let now: Services = new Map();
  const helpers: Readonly<Record<string, (...args: never[]) => unknown>> = {
    services: () => [...now].map(([name, instances]) => ({ name, instances })),
    env: (_name: string, { hash }: { hash: { default: string } }) => hash.default,
    quote: (word: string) => `'${word}'`,
    slug: (name: string) => name,
    hostport: ({ address, port }: Instance) => `${address}:${port}`,
    eq: (a: unknown, b: unknown) => a === b,
    ne: (a: unknown, b: unknown) => a !== b,
    hash: (name: string) => name,
    httpRoutes: (services: readonly { name: string; instances: readonly Instance[] }[]) => {
      const pools = services.map(({ name, instances }) => ({ name, servers: instances }));
      const sites = pools.map((pool) => ({
        host: pool.servers[0]?.meta.http_host ?? "",
        exact: true,
        whole: true,
        paths: [{ path: "/", pool }],
      }));
      return { pools, sites: sites.sort((a, b) => (a.host < b.host ? -1 : 1)) };
    },
  };
  for (const [name, helper] of Object.entries(helpers)) environment.registerHelper(name, helper as never);
  const render = environment.compile<unknown>(text, { noEscape: true });
  return (services) => {
    now = services;
    return render({});
  };
}
