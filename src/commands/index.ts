import type { CommandName } from "../config/command-name.ts";
import type { Run } from "./context.ts";

/** A command, as the help and the command line see it. */
export interface CommandSpec {
  /** What may stand alone, as the usage line writes it. */
  readonly positionals: string;
  readonly summary: string;
  /** Command lines without the program's name, and what they are for. */
  readonly examples: readonly (readonly [words: string, purpose: string])[];
  /** What its exit codes say, where that is more than done and failed. */
  readonly exitCodes?: string;
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
      ["templater -c /etc/portolan/portolan.yaml", "with checks, reloads and several templates"],
      [
        "templater -t haproxy.cfg.hbs:/etc/haproxy/haproxy.cfg:'systemctl reload haproxy' consul:",
        "one template",
      ],
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
      ["render -c portolan.yaml --diff", "what it would change"],
      ["render -c portolan.yaml --explain", "which services, keys, files and variables each template reads"],
      ["render -c portolan.yaml --snapshot services.json", "offline, from `services --json`"],
    ],
    exitCodes: "0 done (with --diff: nothing differs), 1 failed, 2 with --diff: something differs",
    daemon: false,
    load: async () => (await import("./render.ts")).runRender,
  },
  check: {
    positionals: "",
    summary: "validate config file and templates without a backend",
    examples: [
      ["check -c portolan.yaml", "every mistake, with its place"],
      ["check -t haproxy.cfg.hbs:/etc/haproxy/haproxy.cfg", "one template"],
    ],
    daemon: false,
    load: async () => (await import("./check.ts")).runCheck,
  },
  explain: {
    positionals: "CONTAINER [BACKEND...]",
    summary: "tell how each field of a container's instances came to be, or why it has none",
    examples: [
      ["explain web-1", "a running container, with the registrator's options"],
      ["explain web-1 consul:", "and what tag and drain have ordered of it there"],
      ["explain web-1 --ip 10.0.0.5 --internal", "what these options would make of it"],
      ["explain 3f2a --json", "for programs"],
    ],
    daemon: false,
    load: async () => (await import("./explain.ts")).runExplain,
  },
  watch: {
    positionals: "SERVICE [BACKEND] -- CMD...",
    summary: "run a command after each change of a service, its instances as JSON on standard input",
    examples: [
      ["watch web consul: -- ./notify.sh", "once at the start, then once per change"],
      ["watch db --once etcd://10.0.0.2:2379 -- jq -r '.[].address'", "once, with the command's exit code"],
    ],
    exitCodes: "0 done, 1 failed, with --once that of CMD",
    daemon: false,
    load: async () => (await import("./watch.ts")).runWatch,
  },
  expect: {
    positionals: "FILE [BACKEND] [--heal -- CMD...]",
    summary: "compare declared counts with what is ready: a Nagios plugin, a script check of Consul",
    examples: [
      ["expect counts.yaml consul:", "which counts differ, in a line and an exit code"],
      ["expect counts.yaml --json etcd://10.0.0.2:2379", "for programs; the file: services: { web: 3 }"],
      ["expect counts.yaml consul: --heal -- ./start-web.sh", "what would be run where they differ"],
      ["expect counts.yaml consul: --heal --apply -- ./start-web.sh", "runs it, confirmed and under a lock"],
    ],
    exitCodes: "0 equal, 1 too many, 2 too few, 3 backend unknown",
    daemon: false,
    load: async () => (await import("./expect.ts")).runExpect,
  },
  tag: {
    positionals: "ID +TAG -TAG... [BACKEND]",
    summary: "change tags of a running instance; options stand before ID or begin with two dashes",
    examples: [
      ["tag host1:db-1:6379 +master -slave --backend consul:", "a role, as a label would give it"],
      ["tag --for 10m host1:web-1:80 +canary etcd://10.0.0.2:2379", "for ten minutes"],
    ],
    daemon: false,
    load: async () => (await import("./tag.ts")).runTag,
  },
  drain: {
    positionals: "ID | --node NAME [BACKEND]",
    summary: "take an instance, or all of a host, out of rotation",
    examples: [
      ["drain host1:web-1:80 consul:", "until `undrain`, or until its container ends"],
      ["drain --node host1 --for 10m etcd://10.0.0.2:2379", "a whole host, for ten minutes"],
    ],
    daemon: false,
    load: async () => (await import("./drain.ts")).runDrain,
  },
  undrain: {
    positionals: "ID | --node NAME [BACKEND]",
    summary: "end what drain began",
    examples: [
      ["undrain host1:web-1:80 consul:", "one instance"],
      ["undrain --node host1 etcd://10.0.0.2:2379", "a whole host"],
    ],
    daemon: false,
    load: async () => (await import("./drain.ts")).runUndrain,
  },
  stop: {
    positionals: "CONTAINER... [BACKEND]",
    summary: "stop containers without a failed request: drain, wait for every load balancer, stop",
    examples: [
      ["stop web-1 file:///var/lib/portolan/registry", "once every templater has applied that it drains"],
      ["stop web-1 web-2 --timeout 2m consul:", "several together; nothing is stopped where nobody answers"],
    ],
    daemon: false,
    load: async () => (await import("./stop.ts")).runStop,
  },
  rollout: {
    positionals: "SERVICE|CONTAINER... [BACKEND] [-- CMD...]",
    summary: "replace containers one at a time without a failed request",
    examples: [
      ["rollout web consul:", "what compose has made is made anew: docker compose up"],
      ["rollout web consul: -- ./replace.sh", "by a command, which gets PORTOLAN_CONTAINER"],
    ],
    daemon: false,
    load: async () => (await import("./rollout.ts")).runRollout,
  },
  acl: {
    positionals: "consul|etcd|zookeeper [ROLE] [BACKEND]",
    summary: "print the least rights that a registrator, a templater and an operator need",
    examples: [
      ["acl consul", "rules of Consul's ACL, for all three"],
      ["acl consul registrator", "for one: | consul acl policy create -name registrator -rules -"],
      ["acl etcd://10.0.0.2:2379/lb", "etcdctl commands for the keys of this URL: | sh"],
      ["acl etcd --node host1", "a registrator that may claim this host only"],
      ["acl zookeeper", "access lists: | zkCli.sh"],
    ],
    daemon: false,
    load: async () => (await import("./acl.ts")).runAcl,
  },
  journal: {
    positionals: "[TARGET]",
    summary: "show the templater's last changes: what for, with what verdict, in which time",
    examples: [
      ["journal", "all targets, the newest last"],
      ["journal /etc/haproxy/haproxy.cfg --diff", "one, with what has changed in the file"],
      ["journal --json", "for programs"],
    ],
    daemon: false,
    load: async () => (await import("./journal.ts")).runJournal,
  },
  rollback: {
    positionals: "TARGET",
    summary: "go back to the file before the last change, checked and reloaded, and stay there",
    examples: [
      ["rollback /etc/haproxy/haproxy.cfg", "again: one change further back"],
      ["rollback haproxy.cfg -c portolan.yaml", "a group goes back as a whole"],
      ["rollback haproxy.cfg --release", "render again"],
    ],
    daemon: false,
    load: async () => (await import("./rollback.ts")).runRollback,
  },
  migrate: {
    positionals: "consul-template|confd|docker-gen FILE...|DIR",
    summary: "turn their configuration and templates into ours, and tell each line that is not turned",
    examples: [
      ["migrate consul-template haproxy.hcl --out /etc/portolan", "a configuration with its templates"],
      ["migrate confd /etc/confd", "every resource of its conf.d, printed"],
      ["migrate docker-gen nginx.tmpl > nginx.conf.hbs", "one template"],
    ],
    daemon: false,
    load: async () => (await import("./migrate.ts")).runMigrate,
  },
  doctor: {
    positionals: "[BACKEND...]",
    summary: "look at Docker, backend, files, checks and proxies: what was found, what it means, the way out",
    examples: [
      ["doctor -c portolan.yaml", "all that this configuration needs"],
      ["doctor --json etcd://10.0.0.2:2379", "for programs"],
    ],
    exitCodes: "0 nothing is wrong, 1 something is",
    daemon: false,
    load: async () => (await import("./doctor.ts")).runDoctor,
  },
  healthcheck: {
    positionals: "",
    summary: "ask what runs on this host whether it works",
    examples: [
      ["healthcheck", "for HEALTHCHECK in an image, or a cron job"],
      ["healthcheck --state-dir /srv/portolan/state", "one with a state folder of its own"],
    ],
    exitCodes: "0 it works, 1 it does not",
    daemon: false,
    load: async () => (await import("./healthcheck.ts")).runHealthcheck,
  },
  config: {
    positionals: "show|schema [COMMAND]",
    summary: "show each value in force and where it comes from, or the schema of the config file",
    examples: [
      ["config show", "as `agent` would be told by file and environment"],
      ["config show registrator --ttl 30s consul:", "as this command line would be told"],
      ["config schema > portolan.schema.json", "for editors"],
    ],
    daemon: false,
    load: async () => (await import("./config.ts")).runConfig,
  },
  completion: {
    positionals: "bash|zsh|fish",
    summary: "print the script that makes a shell complete command lines",
    examples: [
      ["completion bash", 'bash: eval "$(portolan completion bash)" in ~/.bashrc'],
      ["completion fish > ~/.config/fish/completions/portolan.fish", "fish, for good"],
    ],
    daemon: false,
    load: async () => (await import("./completion.ts")).runCompletion,
  },
};
