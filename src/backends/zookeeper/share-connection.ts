import type { Connection } from "./connection.ts";

/** One connection for all who ask, made again where it broke. */
export function shareConnection(connect: () => Promise<Connection>): () => Promise<Connection> {
  let link: Connection | undefined;
  let linking: Promise<Connection> | undefined;
  const begin = async () => {
    try {
      link = await connect();
      return link;
    } finally {
      linking = undefined;
    }
  };
  return async () => {
    if (link && !link.gone.aborted) return link;
    linking ??= begin();
    return linking;
  };
}
