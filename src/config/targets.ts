import { access, constants } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { coded } from "../errors.ts";
import { isBelow } from "../templater/confine.ts";
import { mayMeet, placeholder } from "../templater/each.ts";
import type { Target } from "../templater/target.ts";
import type { CommandName } from "./command-name.ts";
import type { Mistake } from "./mistake.ts";
import type { Values } from "./options.ts";
import type { TemplateEntry } from "./template-entry.ts";

/** The targets that the command line or the config file names; relative paths are relative to `cwd`. */
export function targetsOf(
  { template, wait, minInterval, destinationRoot }: Values,
  cwd: string,
): readonly Target[] {
  return template.map(({ source, destination, timeout, place: _, ...rest }) => ({
    ...rest,
    source: resolve(cwd, source),
    destination: resolve(cwd, destination),
    commandTimeout: timeout,
    wait,
    minInterval,
    ...(destinationRoot.length > 0 && { roots: destinationRoot }),
  }));
}

/** What is wrong with the templates that a command was given in the end. */
export function templateMistakes(
  command: CommandName,
  { template, destinationRoot }: Values,
  cwd: string,
): readonly Mistake[] {
  if (template.length === 0) {
    if (!["templater", "agent", "render", "rollback"].includes(command)) return [];
    const text = "no template; give -t SOURCE:DEST[:COMMAND] or templater.templates in portolan.yaml";
    return [{ code: "USAGE", text }];
  }
  const destinations = template.map(({ destination }) => resolve(cwd, destination));
  return template.flatMap((entry, index): readonly Mistake[] => {
    const destination = destinations[index] ?? "";
    const why = whyNotNamed(entry.forEach !== undefined, destination);
    if (why !== undefined) return [mistake("CONFIG", entry, `destination ${entry.destination} ${why}`)];
    if (destinationRoot.length > 0 && !isBelow(destination, destinationRoot)) {
      const where = `is below none of destinationRoots (${destinationRoot.join(", ")})`;
      return [mistake("CONFIG", entry, `destination ${entry.destination} ${where}`)];
    }
    const rival = template.slice(0, index).find((one) => differInTurns(one, entry));
    if (rival !== undefined) {
      const text = `the reloadTurns of ${entry.destination} and ${rival.destination} differ; a group reloads in one turn`;
      return [mistake("CONFIG", entry, text)];
    }
    const other = destinations.findIndex((one) => mayMeet(one, destination));
    if (other === index) return [];
    const both = [entry.destination, template[other]?.destination ?? ""];
    const text =
      destinations[other] === destination
        ? `two templates have the destination ${entry.destination}`
        : `the destinations ${both.join(" and ")} may be one file; give {{name}} a prefix`;
    return [mistake("CONFIG", entry, text)];
  });
}

/** Why a destination cannot stand for one file, or for one of each service; undefined when it can. */
function whyNotNamed(isEach: boolean, destination: string): string | undefined {
  const count = destination.split(placeholder).length - 1;
  if (!isEach) return count > 0 ? `holds ${placeholder}, which needs forEach: services` : undefined;
  const inName = basename(destination).split(placeholder).length - 1;
  return count === 1 && inName === 1
    ? undefined
    : `needs ${placeholder} just once, and in the name of the file`;
}

/** Whether two templates of one group want to reload in different turns. */
function differInTurns(one: TemplateEntry, other: TemplateEntry): boolean {
  if (one.group === undefined || one.group !== other.group) return false;
  const [a, b] = [one.reloadTurns, other.reloadTurns];
  return a !== undefined && b !== undefined && !isDeepStrictEqual(a, b);
}

/** The templates that cannot be read now. */
export async function missingTemplates(
  template: readonly TemplateEntry[],
  cwd: string,
): Promise<readonly Mistake[]> {
  const found = await Promise.all(
    template.map(async (entry): Promise<readonly Mistake[]> => {
      const source = resolve(cwd, entry.source);
      try {
        await access(source, constants.R_OK);
        return [];
      } catch (error) {
        const why =
          (error as NodeJS.ErrnoException).code === "ENOENT"
            ? "there is no such file"
            : coded("FAILED", error).message;
        return [mistake("TEMPLATE_MISSING", entry, `template ${source}: ${why}`)];
      }
    }),
  );
  return found.flat();
}

function mistake(code: Mistake["code"], { place }: TemplateEntry, what: string): Mistake {
  return { code, text: place === undefined ? what : `${place}: ${what}` };
}
