import { join } from "node:path";
import { PortolanError } from "../../errors.ts";
import type { Backend, BackendOptions, NoteArea } from "../backend.ts";
import type { BackendUrl } from "../url.ts";
import { createFileKv } from "./keys.ts";
import { createFileLease } from "./lease.ts";
import { createFileLock } from "./lock.ts";
import { createFileNotes } from "./notes.ts";
import { fileLayout } from "./store.ts";
import { createFileWatch } from "./watch.ts";

/**
 * `file:///var/lib/portolan/registry`, a folder on this host: `services/<service>/<id>.json` holds a record,
 * `nodes/<node>` is the heartbeat of its owner. Nothing but the processes that use it is needed. Every reader
 * judges for itself, on its own clock, whether an owner still beats, and hides the records of one that does
 * not; so one that has just started believes a dead owner for one time to live.
 */
export async function openFile(url: BackendUrl, { onlyLooks }: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  if (url.hosts.length > 0 || !url.path.startsWith("/")) {
    throw bad(
      "not an absolute path on this host; write three slashes, e.g. file:///var/lib/portolan/registry",
    );
  }
  const layout = url.query.get("layout") ?? "portolan";
  if (layout !== "portolan") throw bad(`there is no layout "${layout}"; leave it out`);

  const paths = fileLayout(url.path);
  const watch = createFileWatch(url.title, paths, onlyLooks);
  const kv = createFileKv(url.title, paths, { folder: join(url.path, "keys") });
  const notesOf = (area: NoteArea) => createFileNotes(url.title, paths, join(url.path, area));
  const notes = {
    overrides: notesOf("overrides"),
    templaters: notesOf("templaters"),
    heal: notesOf("heal"),
  };
  return {
    title: url.title,
    capabilities: { expiry: "heartbeat", checks: false },
    observe: watch.observe,
    lease: (owner, ttl, options) => createFileLease(url.title, paths, owner, ttl, options),
    living: watch.living,
    kv,
    lock: (name, contender, ttl) => createFileLock(url.title, url.path, { name, contender, ttl }),
    notes: (area) => notes[area],
    async close() {
      watch.close();
      for (const { close } of [kv, ...Object.values(notes)]) close();
    },
  };
}
