import { textLiteral } from "../convert/literal.ts";
import { listOf, NotTurned, type Value } from "../convert/shape.ts";
import { call, strict } from "../convert/value.ts";
import { instance } from "./instance.ts";

const instances = listOf(instance);

/** A letter that stands for a computed part; no name has it. */
const hole = "\u0000";

/** `[tag.]name[?query][@dc][~near][|filter]`, as consul-template takes it. */
const query = /^(?:([^.?@~|]+)\.)?([^.?@~|]+)(?:\?([^@~|]+))?(?:@([^~|]+))?(?:~([^|]+))?(?:\|(.+))?$/;

/**
 * consul-template's `service "[tag.]name[@dc][~near][|filter]"`, where parts may be computed by printf. Throws
 * NotTurned for what one backend cannot be asked.
 */
export function serviceCall(args: readonly Value[]): Value {
  const [first, ...filters] = args;
  if (first === undefined) throw new NotTurned("it needs the name of a service");
  const parts = first.literal !== undefined ? [first.literal] : (first.pieces ?? [first]);
  const values: Value[] = [];
  const pattern = parts
    .map((part) => {
      if (typeof part === "string") return part;
      if (part.literal !== undefined) return part.literal;
      values.push(part);
      return hole;
    })
    .join("");
  const [, tag, name, more, datacenter, near, filter] = query.exec(pattern) ?? [];
  if (name === undefined) throw new NotTurned(`"${pattern.replaceAll(hole, "…")}" is not understood`);
  if (datacenter !== undefined) {
    throw new NotTurned(
      "one backend is one datacenter; give the other one a templater of its own: ?dc=",
      instances,
    );
  }
  if (more !== undefined) throw new NotTurned("say namespace and partition in the backend's URL", instances);
  if (near !== undefined)
    throw new NotTurned("instances are sorted by id; nearness is not known here", instances);

  const readValue = (part: string): Value => {
    if (!part.includes(hole)) return textLiteral(part);
    const texts = part.split(hole);
    const taken = values.splice(0, texts.length - 1);
    if (part === hole && taken[0]) return strict(taken[0]);
    return call("printf", [textLiteral(texts.join("%s")), ...taken], first.shape);
  };
  const tagged = tag === undefined ? "" : ` tag=${readValue(tag).code}`;
  const named = readValue(name);
  const states = stateOf([...(filter === undefined ? [] : [filter]), ...filters.map(filterOf)].join(","));
  return {
    code: `(service ${named.code}${tagged}${states})`,
    shape: instances,
    free: named.free === true,
  };
}

function filterOf(value: Value): string {
  if (value.literal === undefined) throw new NotTurned("its filter is computed; write state=", instances);
  return value.literal;
}

function stateOf(filter: string): string {
  const words = filter.split(",").filter((word) => word !== "" && word !== "passing");
  if (words.length === 0) return "";
  if (words.includes("any")) return ' state="any"';
  throw new NotTurned(
    `the filter "${filter}" is not asked here; a warning counts as unhealthy: state="any", and {{#if (eq state "…")}}`,
    instances,
  );
}
