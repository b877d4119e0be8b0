import { schemes } from "../backends/index.ts";
import type { CommandName } from "./command-name.ts";
import type { Mistake } from "./mistake.ts";
import type { Values } from "./options.ts";

/** What may stand alone on a command line. */
interface Alone {
  readonly backends: 0 | 1 | "many";
  readonly names: 0 | 1 | 2 | "many";
  /** Without a backend the command can do nothing. */
  readonly needsBackend: boolean;
}

const alone: Readonly<Record<CommandName, Alone>> = {
  registrator: { backends: "many", names: 0, needsBackend: true },
  templater: { backends: 1, names: 0, needsBackend: true },
  agent: { backends: 1, names: 0, needsBackend: false },
  services: { backends: 1, names: 1, needsBackend: true },
  render: { backends: 1, names: 0, needsBackend: true },
  check: { backends: 0, names: 0, needsBackend: false },
  explain: { backends: "many", names: 1, needsBackend: false },
  expect: { backends: 1, names: 1, needsBackend: true },
  tag: { backends: 1, names: 1, needsBackend: true },
  drain: { backends: 1, names: 1, needsBackend: true },
  undrain: { backends: 1, names: 1, needsBackend: true },
  watch: { backends: 1, names: 1, needsBackend: true },
  stop: { backends: 1, names: "many", needsBackend: true },
  rollout: { backends: 1, names: "many", needsBackend: true },
  acl: { backends: "many", names: 2, needsBackend: false },
  journal: { backends: 0, names: 1, needsBackend: false },
  rollback: { backends: 0, names: 1, needsBackend: false },
  migrate: { backends: 0, names: "many", needsBackend: false },
  doctor: { backends: "many", names: 0, needsBackend: false },
  healthcheck: { backends: 0, names: 0, needsBackend: false },
  config: { backends: 0, names: 1, needsBackend: false },
  completion: { backends: 0, names: 1, needsBackend: false },
};

/** The words that stand alone, told apart. */
export interface Positionals {
  readonly backends: readonly string[];
  readonly names: readonly string[];
  readonly mistakes: readonly Mistake[];
}

/** Whether a word that stands alone is meant as a backend: an unknown scheme is one that is mistyped. */
export function isBackendUrl(word: string): boolean {
  return word.includes("://") || schemes.some((scheme) => word.startsWith(`${scheme}:`));
}

/** Tells backend URLs from names by their scheme. */
export function sortPositionals(command: CommandName, words: readonly string[]): Positionals {
  const accepts = alone[command];
  const isUrl = (word: string) => accepts.backends !== 0 && isBackendUrl(word);
  const backends = words.filter(isUrl);
  const others = words.filter((word) => !isUrl(word));
  const most = accepts.names === "many" ? others.length : accepts.names;
  const names = others.slice(0, most);
  const mistakes = others.slice(most).map((word): Mistake => {
    const why = accepts.backends === 0 ? "" : `; a backend is written as a URL: ${examples}`;
    return { code: "USAGE", text: `unexpected argument "${word}"${why}` };
  });
  return { backends, names, mistakes };
}

/** What is wrong with the backends that a command was given in the end. */
export function backendMistakes(command: CommandName, { backend, snapshot }: Values): readonly Mistake[] {
  const { backends, needsBackend } = alone[command];
  if (backend.length === 0) {
    if (!needsBackend || snapshot !== undefined) return [];
    const isDaemon = command === "registrator" || command === "templater";
    // Without a backend an agent works too.
    const ofAgent = isDaemon
      ? ""
      : "; an agent without a backend is reached by no other process: start it with a folder, `portolan agent file:///var/lib/portolan/registry`";
    const example = isDaemon ? `portolan ${command} consul:` : "--backend consul:";
    const text = `no backend; give one, e.g. \`${example}//127.0.0.1:8500\`, or set PORTOLAN_BACKEND or backend: in portolan.yaml${ofAgent}`;
    return [{ code: "USAGE", text }];
  }
  if (backends === 1 && backend.length > 1) {
    return [{ code: "USAGE", text: `${command} takes one backend, and ${backend.length} are given` }];
  }
  const mayBeMemory = command === "agent" || command === "check" || command === "explain";
  if (!mayBeMemory && backend.some((url) => url.startsWith("memory:"))) {
    const text = `memory: lives inside one process, so ${command} cannot share it; use \`portolan agent\` alone, or all of them over a folder: file:///var/lib/portolan/registry`;
    return [{ code: "BACKEND_URL", text }];
  }
  return [];
}

const examples = "consul://127.0.0.1:8500, etcd://127.0.0.1:2379, zookeeper://127.0.0.1:2181, file:///DIR";
