import type { CommandName } from "../config/command-name.ts";
import type { Run } from "./context.ts";

/** A command, as the help and the command line see it. */
export interface CommandSpec {
  /** What may stand alone, as the usage line writes it. */
  readonly positionals: string;
  readonly summary: string;
  /** Command lines without the program's name, and what they are for. */
  readonly examples: readonly (readonly [words: string, purpose: string])[];
  /** It runs until it is stopped; SIGHUP makes it read its configuration again. */
  readonly daemon: boolean;
  load(): Promise<Run>;
}

/** Every command. Its code is loaded only when it runs. */
export const commands: Readonly<Record<CommandName, CommandSpec>> = {
  registrator: {
    positionals: "[BACKEND...]",
    summary: "register this host's containers in a backend",
    examples: [
      ["registrator consul://127.0.0.1:8500", "with the local Consul agent"],
      ["registrator --ip interface:eth0 etcd://10.0.0.2:2379", "published ports on eth0's address"],
      ["registrator file:///var/lib/portolan/registry", "for a templater on this machine"],
      [
        "registrator --dry-run consul://127.0.0.1:8500",
        "what it would change: takes no lease, writes nothing",
      ],
    ],
    daemon: true,
    load: async () => (await import("./registrator.ts")).runRegistrator,
  },
  templater: {
    positionals: "[BACKEND]",
    summary: "render templates from a backend, check, swap and reload",
    examples: [
      [
        "templater -t haproxy.cfg.hbs:/etc/haproxy/haproxy.cfg:'systemctl reload haproxy' consul:",
        "from the local Consul agent",
      ],
      ["templater -c /etc/portolan/portolan.yaml", "with checks, signals and several templates"],
    ],
    daemon: true,
    load: async () => (await import("./templater.ts")).runTemplater,
  },
  agent: {
    positionals: "[BACKEND]",
    summary: "registrator and templater in one process",
    examples: [
      ["agent -t nginx.conf.hbs:/etc/nginx/nginx.conf:'nginx -s reload'", "one machine, no backend"],
      ["agent -c portolan.yaml zookeeper://10.0.0.2:2181/portolan", "one of many machines"],
    ],
    daemon: true,
    load: async () => (await import("./agent.ts")).runAgent,
  },
  services: {
    positionals: "[NAME] [BACKEND]",
    summary: "show what the backend holds now",
    examples: [
      ["services consul://127.0.0.1:8500", "all services as a table"],
      ["services web --json --backend etcd://10.0.0.2:2379", "the records of one"],
    ],
    daemon: false,
    load: async () => (await import("./services.ts")).runServices,
  },
  render: {
    positionals: "[BACKEND]",
    summary: "render once to standard output; touches nothing",
    examples: [
      ["render -c portolan.yaml", "what the templater would write"],
      ["render -c portolan.yaml --diff", "what it would change: exit 0 nothing, 2 something, 1 error"],
      ["render -c portolan.yaml --snapshot services.json", "offline, from `services --json`"],
    ],
    daemon: false,
    load: async () => (await import("./render.ts")).runRender,
  },
  check: {
    positionals: "",
    summary: "validate config file and templates without a backend",
    examples: [
      ["check -c portolan.yaml", "exit 0, or 78 and every mistake"],
      ["check -t haproxy.cfg.hbs:/etc/haproxy/haproxy.cfg", "one template"],
    ],
    daemon: false,
    load: async () => (await import("./check.ts")).runCheck,
  },
  explain: {
    positionals: "CONTAINER",
    summary: "tell how each field of a container's instances came to be, or why it has none",
    examples: [
      ["explain web-1", "a running container, with the registrator's options"],
      ["explain web-1 --ip 10.0.0.5 --internal", "what these options would make of it"],
      ["explain 3f2a --json", "for programs"],
    ],
    daemon: false,
    load: async () => (await import("./explain.ts")).runExplain,
  },
};
