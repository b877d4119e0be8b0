import { hostname } from "node:os";
import type { Interest, Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { coded } from "../errors.ts";
import { interestOf, sameInterest } from "../templater/interest.ts";
import { loadTemplate } from "../templater/load.ts";
import { type Rendered, renderTemplate, type Template } from "../templater/render.ts";
import type { Target } from "../templater/target.ts";
import type { Context } from "./context.ts";
import { diffWithLive } from "./live-diff.ts";
import { settle } from "./settle.ts";
import { readSnapshot } from "./snapshot-file.ts";

/** ms that a backend has to answer everything that the templates read. */
const patience = 30_000;

/** A target and what its file would hold. */
interface Output {
  readonly target: Target;
  readonly rendered: Extract<Rendered, { status: "rendered" }>;
}

/** `portolan render`: every target once, to standard output; with `--diff` what it would change. */
export async function runRender(context: Context): Promise<number> {
  const { settings, say } = context;
  try {
    const outputs = await renderAll(context);
    for (const { rendered } of outputs) {
      for (const { id, reason } of rendered.refused) say(`instance ${id} left out: ${reason}`);
    }
    return settings.values.diff ? await printDiffs(outputs, context) : printTexts(outputs, context);
  } catch (error) {
    const { code, message } = coded("FAILED", error);
    if (code === "BACKEND_URL" || code === "USAGE") throw error;
    for (const line of message.split("\n")) say(`portolan: ${code}: ${line}`);
    return 1;
  }
}

async function renderAll(context: Context): Promise<readonly Output[]> {
  const { settings, env, stop } = context;
  const templates = await Promise.all(
    settings.targets.map(async (target) => ({ target, template: await loadTemplate(target.source) })),
  );
  const node = settings.values.node ?? hostname();
  const render = (snapshot: Snapshot | undefined) =>
    templates.map(({ target, template }) => ({ target, rendered: attempt(template, snapshot, node, env) }));

  const { snapshot } = settings.values;
  if (snapshot !== undefined) return finished(render(await readSnapshot(snapshot))) ?? [];

  const backend = await openBackend(settings.values.backend[0] ?? "", { env });
  let interest: Interest = { services: new Set() };
  const observation = backend.observe(interest);
  try {
    const look = (): readonly Output[] | undefined => {
      const observed = observation.current();
      const outputs = render(observed.known ? observed.value : undefined);
      const done = finished(outputs);
      const next = interestOf(outputs.map(({ rendered }) => rendered.reads));
      if (done || sameInterest(interest, next)) return done;
      interest = next;
      observation.want(interest);
      return look();
    };
    return await settle(observation, backend.title, look, patience, stop);
  } finally {
    await observation.close();
    await backend.close();
  }
}

function attempt(
  template: Template,
  snapshot: Snapshot | undefined,
  node: string,
  env: Context["env"],
): Rendered {
  return renderTemplate(template, { snapshot, env, node });
}

/** The outputs when none of them waits for anything. */
function finished(outputs: readonly { target: Target; rendered: Rendered }[]): readonly Output[] | undefined {
  const done = outputs.flatMap(({ target, rendered }) =>
    rendered.status === "rendered" ? [{ target, rendered }] : [],
  );
  return done.length === outputs.length ? done : undefined;
}

function printTexts(outputs: readonly Output[], { print }: Context): number {
  for (const [index, { target, rendered }] of outputs.entries()) {
    if (outputs.length > 1) print(`${index > 0 ? "\n" : ""}==> ${target.destination} <==\n`);
    print(rendered.text);
  }
  return 0;
}

async function printDiffs(outputs: readonly Output[], { print }: Context): Promise<number> {
  let code = 0;
  for (const { target, rendered } of outputs) {
    const diff = await diffWithLive(target.destination, rendered.text);
    if (diff === "") continue;
    print(diff);
    code = 2;
  }
  return code;
}
