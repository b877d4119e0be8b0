import { PortolanError } from "../../errors.ts";
import { callLimit } from "../limited.ts";
import type { Connection, Session } from "./connection.ts";

/** Connects anew, or to a session that lives already, within `limit` ms. */
export type Connector = (want: {
  readonly session?: Session | undefined;
  readonly limit: number;
}) => Promise<Connection>;

/** One session at a time, and the connection to it, which is made again where it broke. */
export interface SessionLink {
  /** Ours until the server says that it expired. */
  current(): Session | undefined;
  /** Takes a session. */
  begin(): Promise<Connection>;
  /** A connection to the session; where there is none any more, rejects with LEASE_LOST or takes another one. */
  attach(): Promise<Connection>;
  /** The session is over. */
  forget(): void;
}

/** No session yet. With `renewed` a session is but a connection, and the next one is as good. */
export function createSessionLink(
  connect: Connector,
  { lost, renewed = false }: { lost(): PortolanError; readonly renewed?: boolean },
): SessionLink {
  let session: Session | undefined;
  let link: Connection | undefined;
  let attaching: Promise<Connection> | undefined;

  const forget = () => {
    session = undefined;
    link = undefined;
  };
  const begin = async (): Promise<Connection> => {
    link = await connect({ limit: callLimit });
    session = link.session;
    return link;
  };
  const reattach = async (to: Session): Promise<Connection> => {
    try {
      link = await connect({ session: to, limit: Math.min(callLimit, to.timeout / 3) });
      return link;
    } catch (error) {
      if (!isLost(error)) throw error;
      forget();
      if (renewed) return begin();
      throw error;
    } finally {
      attaching = undefined;
    }
  };

  return {
    current: () => session,
    begin,
    forget,
    async attach() {
      if (link && !link.gone.aborted) return link;
      if (!session) throw lost();
      attaching ??= reattach(session);
      return attaching;
    },
  };
}

/** Whether a call came to nothing because the session is over. */
export function isLost(error: unknown): boolean {
  return error instanceof PortolanError && error.code === "LEASE_LOST";
}
