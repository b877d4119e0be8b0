import { openStore } from "../stores/index.ts";
import { createApply } from "./apply.ts";
import type { Close, FloorOptions } from "./settings.ts";

/** Bare watch → text with the port → file, check, rename, signal. */
export async function runTemplater(options: FloorOptions): Promise<Close> {
  const store = await openStore(options.store);
  const apply = createApply(options);
  let last: number | undefined;
  await store.watch(options.watched, (port) => {
    if (port === undefined || port === last) return;
    last = port;
    apply(options.text.replaceAll("@PORT@", String(port)));
  });
  return store.close;
}
