import { defaultPort } from "../config/listen-address.ts";
import type { Metrics } from "../status/metrics.ts";
import { type StatusOptions, type StatusServer, startStatusServer } from "../status/server.ts";
import { openToken, type Token } from "../status/token.ts";
import { watchFiles } from "../watched-files.ts";
import type { Context } from "./context.ts";

/** The status pages of a daemon. */
export type Served = Pick<StatusServer, "address" | "close">;

/**
 * Serves them where it was said, or by default; undefined when they are off. Rejects with USAGE when the token that
 * they are to ask for cannot be read, and like `startStatusServer`.
 */
export async function serveStatus(
  context: Context,
  metrics: Metrics,
  daemon: StatusOptions["daemon"],
): Promise<Served | undefined> {
  const { listen, listenTokenFile } = context.settings.values;
  if (listen === "off") return undefined;
  if (listenTokenFile === undefined) return listenSomewhere(context, { metrics, daemon });

  const token = await openToken(listenTokenFile);
  const server = await listenSomewhere(context, { metrics, daemon, token });
  const watch = watchFiles(() => void reread(token, server, context));
  await watch.watch({ files: new Set([listenTokenFile]), folders: new Set() });
  return {
    address: server.address,
    async close() {
      await watch.close();
      await server.close();
    },
  };
}

/** A default address that is taken is no reason not to run; a given one is. */
async function listenSomewhere(
  { command, settings, version, log }: Context,
  what: Pick<StatusOptions, "metrics" | "daemon" | "token">,
): Promise<StatusServer> {
  const { listen } = settings.values;
  const on = (host: string, port: number) => startStatusServer({ host, port, version, command, ...what });
  if (listen !== undefined && listen !== "off") return on(listen.host, listen.port);
  try {
    return await on("127.0.0.1", defaultPort(command));
  } catch (error) {
    const server = await on("127.0.0.1", 0);
    log.warn({ address: server.address, err: error }, "status pages are served on another address");
    return server;
  }
}

async function reread(token: Token, server: StatusServer, { log }: Context): Promise<void> {
  try {
    if (!(await token.reread())) return;
    log.info({}, "the token of the status pages has changed");
  } catch (err) {
    log.error({ err }, "nobody may read the status pages until their token can be read again");
  }
  server.dismiss();
}
