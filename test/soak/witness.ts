import { readFileSync } from "node:fs";

/** Looks at the live file while everything changes. */
export interface Witness {
  /** The smallest number of servers that the file had since it is watched. */
  stop(): number;
}

/** ms between two looks. */
const every = 50;

/** Counts the servers in HAProxy's configuration again and again. Some container always runs, so none is too few. */
export function watchServers(file: string): Witness {
  let fewest = Number.POSITIVE_INFINITY;
  const look = () => {
    const servers = readFileSync(file, "utf8").match(/^ {4}server /gm)?.length ?? 0;
    fewest = Math.min(fewest, servers);
  };
  look();
  const timer = setInterval(look, every);
  return {
    stop() {
      clearInterval(timer);
      return fewest;
    },
  };
}
