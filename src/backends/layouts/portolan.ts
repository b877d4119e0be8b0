import { decodeInstance, encodeSegment } from "../../instance.ts";
import { type RecordLayout, unreadable } from "./layout.ts";

/** The default: `<root>/services/<service>/<id>` holds the whole record. */
export function portolanLayout(root: string): RecordLayout {
  const services = `${root}/services`;
  return {
    name: "portolan",
    services,
    root,
    whole: true,
    keyOf: (ref) => `${services}/${encodeSegment(ref.service)}/${encodeSegment(ref.id)}`,
    read: readRecord,
  };
}

/** Reads a whole record. One whose key does not end in its own service and id is unreadable. */
export function readRecord(key: string, text: string) {
  const instance = decodeInstance(text, key);
  const expected = `${encodeSegment(instance.service)}/${encodeSegment(instance.id)}`;
  const at = `/${key}`;
  if (at.endsWith(`/${expected}`) || at.endsWith(`/${expected}.json`)) return instance;
  throw unreadable(key, `the record says it is ${expected}`);
}
