import { hostname } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { Interest, KeyWants, Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { coded } from "../errors.ts";
import { planFiles } from "../templater/file-plan.ts";
import { interestOf, keysOf, sameInterest } from "../templater/interest.ts";
import { createKnownSecrets, type KnownSecrets } from "../templater/known-secrets.ts";
import { loadTemplate } from "../templater/load.ts";
import { openOwnedFiles } from "../templater/owned-files.ts";
import { type RenderedFiles, rendererOf } from "../templater/rendered-files.ts";
import type { Target } from "../templater/target.ts";
import type { World } from "../templater/view.ts";
import type { Context } from "./context.ts";
import { heldBackHere } from "./held-back-here.ts";
import { diffWithLive } from "./live-diff.ts";
import { readsText } from "./reads-text.ts";
import { settle } from "./settle.ts";
import { readSnapshot } from "./snapshot-file.ts";

/** ms that a backend has to answer everything that the templates read. */
const patience = 30_000;

/** A target and what its files would hold. */
interface Output {
  readonly target: Target;
  readonly rendered: Extract<RenderedFiles, { status: "rendered" }>;
  /** The names of the variables that it asked for. */
  readonly variables: ReadonlySet<string>;
}

/**
 * `portolan render`: every target once, to standard output; with `--diff` what it would change, with `--explain` what
 * it was made from, and what a templater that runs here holds back from it.
 */
export async function runRender(context: Context): Promise<number> {
  const { settings, say } = context;
  try {
    const secrets = createKnownSecrets(context.env);
    const outputs = await renderAll(context, secrets);
    for (const { rendered } of outputs) {
      for (const { id, reason } of rendered.refused) say(`instance ${id} left out: ${reason}`);
      for (const { service, reason } of rendered.leftOut) say(`service ${service} left out: ${reason}`);
    }
    if (settings.values.explain) return await printReads(outputs, context);
    return settings.values.diff ? await printDiffs(outputs, secrets, context) : printTexts(outputs, context);
  } catch (error) {
    const { code, message } = coded("FAILED", error);
    if (code === "BACKEND_URL" || code === "USAGE") throw error;
    for (const line of message.split("\n")) say(`portolan: ${code}: ${line}`);
    return 1;
  }
}

async function renderAll(context: Context, secrets: KnownSecrets): Promise<readonly Output[]> {
  const { settings, env, stop } = context;
  const templates = await Promise.all(
    settings.targets.map(async (target) => ({
      target,
      template: await loadTemplate(target.source, { format: target.format }),
      renderFiles: rendererOf(target),
      ...noting(env),
    })),
  );
  const node = settings.values.node ?? hostname();
  const render = (snapshot: Snapshot | undefined, keys: World["keys"]) => {
    const world = { snapshot, keys, node, file: secrets.file };
    secrets.note(world);
    return templates.map(({ target, template, renderFiles, noted, variables }) => ({
      target,
      rendered: renderFiles(template, { ...world, env: noted }),
      variables,
    }));
  };

  const { snapshot } = settings.values;
  if (snapshot !== undefined) return finished(render(await readSnapshot(snapshot), "none")) ?? [];

  const backend = await openBackend(settings.values.backend[0] ?? "", { env, onlyLooks: true });
  let interest: Interest = { services: new Set() };
  let wants: KeyWants = { keys: new Set(), trees: new Set() };
  const observation = backend.observe(interest);
  const keys = backend.kv?.watch(wants);
  const keysNow = () => {
    const now = keys?.current();
    return keys === undefined ? "none" : now?.known ? now.value : undefined;
  };
  try {
    const look = (): readonly Output[] | undefined => {
      const observed = observation.current();
      const outputs = render(observed.known ? observed.value : undefined, keysNow());
      const done = finished(outputs);
      const reads = outputs.map(({ rendered }) => rendered.reads);
      const [next, nextKeys] = [interestOf(reads), keysOf(reads)];
      if (done || (sameInterest(interest, next) && isDeepStrictEqual(wants, nextKeys))) return done;
      if (!sameInterest(interest, next)) observation.want(next);
      if (!isDeepStrictEqual(wants, nextKeys)) keys?.want(nextKeys);
      [interest, wants] = [next, nextKeys];
      return look();
    };
    const both = {
      current: () => {
        const now = observation.current();
        const problem = now.problem ?? keys?.current().problem;
        return problem ? { ...now, problem } : now;
      },
      subscribe(listener: () => void) {
        const ends = [observation.subscribe(listener), keys?.subscribe(listener)];
        return () => {
          for (const end of ends) end?.();
        };
      },
    };
    return await settle(both, backend.title, look, patience, stop);
  } finally {
    await Promise.all([observation.close(), keys?.close()]);
    await backend.close();
  }
}

/** The outputs when none of them waits for anything. */
function finished(
  outputs: readonly { target: Target; rendered: RenderedFiles; variables: ReadonlySet<string> }[],
): readonly Output[] | undefined {
  const done = outputs.flatMap(({ target, rendered, variables }) =>
    rendered.status === "rendered" ? [{ target, rendered, variables }] : [],
  );
  return done.length === outputs.length ? done : undefined;
}

/** The variables, and the names of those that have been asked for. */
function noting(env: World["env"]) {
  const variables = new Set<string>();
  const noted = new Proxy(env, {
    getOwnPropertyDescriptor(all, name) {
      variables.add(String(name));
      return Reflect.getOwnPropertyDescriptor(all, name);
    },
  });
  return { noted, variables };
}

async function printReads(outputs: readonly Output[], context: Context): Promise<number> {
  const { print, say, env, settings } = context;
  // Of another world, a templater says nothing.
  const isNow = settings.values.snapshot === undefined;
  const { heldBack, unknown } = isNow ? await heldBackHere(context) : { heldBack: [], unknown: [] };
  for (const why of unknown) say(`not known what is held back by ${why}`);
  for (const { target, rendered, variables } of outputs) {
    const isSet = new Map([...variables].map((name) => [name, !!env[name]]));
    const held = heldBack.filter(({ destination }) => destination === target.destination);
    print(readsText(target, rendered.reads, isSet, held));
  }
  return 0;
}

function printTexts(outputs: readonly Output[], { print }: Context): number {
  const files = outputs.flatMap(({ rendered }) => rendered.files);
  for (const [index, { destination, text }] of files.entries()) {
    if (files.length > 1 || outputs.some(({ target }) => target.forEach !== undefined))
      print(`${index > 0 ? "\n" : ""}==> ${destination} <==\n`);
    print(text);
  }
  return 0;
}

async function printDiffs(
  outputs: readonly Output[],
  secrets: KnownSecrets,
  { print, say }: Context,
): Promise<number> {
  let code = 0;
  for (const { target, rendered } of outputs) {
    const { files, leftOut } = await filesOf(target, rendered);
    for (const { service, reason } of leftOut) say(`service ${service} left out: ${reason}`);
    for (const { destination, text } of files) {
      const diff = await diffWithLive(destination, text);
      if (diff === "") continue;
      print(secrets.maskDiff(diff, true));
      code = 2;
    }
  }
  return code;
}

/** The files, and without a text those that would go. */
async function filesOf(target: Target, { files }: Output["rendered"]) {
  if (target.forEach === undefined) return { files, leftOut: [] };
  // The state folder may be another user's: the list beside the files tells as much.
  const nothing = { get: () => undefined, destinations: () => [] };
  const plan = await planFiles(target, files, openOwnedFiles(target), nothing);
  const changes = plan.files.map(({ target: { destination }, text }) => ({
    destination,
    text: text?.toString(),
  }));
  return { files: changes, leftOut: plan.leftOut };
}
