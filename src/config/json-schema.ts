import { z } from "zod";
import { configSchema, formsOf } from "./config-schema.ts";

type JsonSchema = Record<string, unknown>;

/**
 * The JSON Schema of the config file, for editors: what may stand where, before the words themselves are read. It
 * refuses nothing that the file may hold.
 */
export function configJsonSchema(): Readonly<JsonSchema> {
  const { $schema, properties, ...rest } = describe(configSchema("/"));
  return { $schema, title: "Configuration of Portolan", ...rest, properties: withEmpty(properties) };
}

function describe(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const forms = formsOf.get(zodSchema);
      if (forms) jsonSchema.anyOf = forms.map(withoutDraft);
      // A number of YAML is read as it is written.
      if (jsonSchema.type === "string") Object.assign(jsonSchema, { type: ["string", "number"] });
    },
  });
}

/** Only the whole names the draft that it is written in. */
function withoutDraft(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = describe(schema);
  return rest;
}

/** A section may hold nothing but comments. */
function withEmpty(properties: unknown): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties as Readonly<Record<string, JsonSchema>>).map(([key, schema]) => [
      key,
      schema.type === "object" ? { ...schema, type: ["object", "null"] } : schema,
    ]),
  );
}
