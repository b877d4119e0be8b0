import type { ServerResponse } from "node:http";
import { monotonic, pause } from "../clock.ts";
import type { Pieces } from "./pieces.ts";

/** Sends what changes to all who watch the status page, as server-sent events. */
export interface Stream {
  /** Answers with events until the client goes. False, and nothing was done, when too many watch already. */
  open(response: ServerResponse, headers: Readonly<Record<string, string>>): boolean;
  /** Ends what all are sent: their browsers ask again. */
  dismiss(): void;
  close(): void;
}

/** Somebody who watches, and the text of each piece that was sent last. */
interface Watcher {
  readonly response: ServerResponse;
  readonly sent: Map<string, string>;
}

/** ms between two looks. */
const every = 250;
/** A look takes no more than one part of so many of the time. */
const share = 20;
/** Browsers keep six connections to a host. */
const mostWatchers = 24;

/**
 * A stream that looks a few times a second as long as somebody watches, and never else: whatever changes shows,
 * without anybody having to tell. One who reads slowly misses what was in between, and gets what is.
 */
export function createStream(look: () => Pieces): Stream {
  const watchers = new Set<Watcher>();
  const closing = new AbortController();
  let isRunning = false;

  const send = ({ response, sent }: Watcher, texts: ReadonlyMap<string, string>) => {
    if (response.writableNeedDrain) return;
    const changed = [...texts].filter(([name, text]) => sent.get(name) !== text);
    // A piece that is gone is null.
    const gone = [...sent.keys()].filter((name) => !texts.has(name)).map((name) => [name, "null"] as const);
    for (const [name, text] of changed) sent.set(name, text);
    for (const [name] of gone) sent.delete(name);
    const members = [...changed, ...gone].map(([name, text]) => `${JSON.stringify(name)}:${text}`);
    if (members.length > 0) response.write(`data: {${members.join(",")}}\n\n`);
  };
  const run = async () => {
    isRunning = true;
    while (watchers.size > 0 && !closing.signal.aborted) {
      const began = monotonic();
      const texts = textsOf(look);
      for (const watcher of watchers) send(watcher, texts);
      await pause(Math.max(every, (monotonic() - began) * share), closing.signal);
    }
    isRunning = false;
  };

  return {
    open(response, headers) {
      if (watchers.size >= mostWatchers) return false;
      response.writeHead(200, { ...headers, "content-type": "text/event-stream" });
      const watcher = { response, sent: new Map() };
      watchers.add(watcher);
      response.on("close", () => watchers.delete(watcher));
      response.on("error", () => watchers.delete(watcher));
      if (isRunning) send(watcher, textsOf(look));
      else void run();
      return true;
    },
    dismiss() {
      for (const { response } of watchers) response.end();
    },
    close: () => closing.abort(),
  };
}

/** Each piece as JSON; none when the daemon cannot say how it is. */
function textsOf(look: () => Pieces): ReadonlyMap<string, string> {
  try {
    return new Map(
      Object.entries(look()).flatMap(([name, piece]) =>
        piece === undefined ? [] : [[name, JSON.stringify(piece)] as const],
      ),
    );
  } catch {
    return new Map();
  }
}
