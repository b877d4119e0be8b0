import type { Interest, Observation } from "../backend.ts";
import type { Layout } from "../layouts/layout.ts";
import { createObservers } from "../observers.ts";
import { createRecords } from "../records.ts";
import type { Follow, Following } from "./follow.ts";

/** The watch of one backend. */
export interface EtcdWatch {
  observe(interest: Interest): Observation;
  /** Ends all observations. */
  close(): void;
}

/** Watches everything below `services` once for all observations. */
export function createEtcdWatch(
  follow: Follow,
  { services, read }: Pick<Layout, "services" | "read">,
): EtcdWatch {
  const records = createRecords(read);
  let following: Following | undefined;
  const observers = createObservers(records, {
    start() {
      const { publish, fail } = observers;
      following = follow(`${services}/`, { ...records, publish, fail });
    },
    stop: () => following?.stop(),
    refresh: () => following?.refresh(),
  });
  return observers;
}
