import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { PortolanError } from "../errors.ts";
import type { Role } from "../instance.ts";
import { nearest } from "../nearest.ts";

/** How many ready instances there should be. */
export interface Expectation {
  readonly service: string;
  readonly min: number;
  readonly max: number;
  /** Only those with this tag, or this role. */
  readonly tag?: string;
  readonly role?: Role;
}

const count = z.int("it is not a whole number").min(0, "it is below 0");

/** A mapping with just these keys; `otherwise` says what something else is not. */
function mapping<Shape extends z.ZodRawShape>(shape: Shape, otherwise: string) {
  const known = Object.keys(shape);
  const unknown = (key: string) => `unknown key ${key}; the nearest known one is ${nearest(key, known)}`;
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? issue.keys.map(unknown).join("; ") : otherwise),
  });
}

const conditions = mapping(
  {
    count: count.optional(),
    min: count.optional(),
    max: count.optional(),
    tag: z.string("it is not a word").min(1, "it is empty").optional(),
    role: z.enum(["master", "slave"], "it is neither master nor slave").optional(),
  },
  "it is not a mapping of conditions",
)
  .refine(({ count, min, max }) => (count === undefined) !== (min === undefined && max === undefined), {
    error: "it has to hold either count, or min, max or both",
  })
  .refine(({ min = 0, max = Number.POSITIVE_INFINITY }) => min <= max, { error: "min is above max" });

const schema = mapping(
  {
    services: z.record(
      z.string(),
      z.union([count, conditions, z.array(conditions).min(1, "it is empty")], {
        error:
          "it is neither a number, nor a mapping with count, min, max, tag and role, nor a list of those",
      }),
      { error: "it is not a mapping of services to numbers" },
    ),
  },
  "it is not a mapping with the key services",
);

/**
 * Reads a file such as `services: { web: 3, db: [{ role: master, count: 1 }, { role: slave, min: 1 }] }`, YAML or
 * JSON. Rejects with CONFIG, which names the file, the key and all that is wrong.
 */
export async function readExpectations(file: string): Promise<readonly Expectation[]> {
  let raw: unknown;
  try {
    raw = parse(await readFile(file, "utf8"));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = missing ? "there is no such file" : error instanceof Error ? error.message : String(error);
    throw new PortolanError("CONFIG", `${file}: ${why}`, { cause: error });
  }
  const { data, error } = schema.safeParse(raw);
  if (data === undefined) {
    const all = error.issues.map(
      ({ path, message }) => `${path.length > 0 ? `${path.join(".")}: ` : ""}${message}`,
    );
    throw new PortolanError("CONFIG", `${file}: ${all.join("; ")}`);
  }
  return Object.entries(data.services).flatMap(([service, said]) =>
    [typeof said === "number" ? { count: said } : said].flat().map(({ count, min, max, tag, role }) => ({
      service,
      min: count ?? min ?? 0,
      max: count ?? max ?? Number.POSITIVE_INFINITY,
      ...(tag !== undefined && { tag }),
      ...(role !== undefined && { role }),
    })),
  );
}
