import { request } from "node:http";
import { coded, PortolanError } from "../errors.ts";

/** What a status server answered. */
export interface StatusAnswer {
  readonly status: number;
  readonly body: string;
}

/** Addresses that a server listens on when it listens on all, and the one by which this host reaches it. */
const anywhere: readonly (readonly [all: string, here: string])[] = [
  ["0.0.0.0", "127.0.0.1"],
  ["[::]", "[::1]"],
];

/**
 * Asks the status server of a process on this host. `address` is `HOST:PORT` as it stands in the state folder; `token`
 * is for pages that ask for one. Rejects with FAILED when nobody answers, and with ABORTED once `signal` is aborted.
 */
export function askStatus(
  address: string,
  path: string,
  signal: AbortSignal,
  token?: string,
): Promise<StatusAnswer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const at = anywhere.reduce((text, [all, here]) => text.replace(`${all}:`, `${here}:`), address);
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      reject(
        signal.aborted
          ? new PortolanError("ABORTED", `http://${at}${path} did not answer in time`)
          : coded("FAILED", error, `http://${at}${path}: `),
      );
    };
    const asked = request(`http://${at}${path}`, { agent: false, headers, signal }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (part: string) => {
        body += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on("error", fail);
    });
    asked.on("error", fail);
    asked.end();
  });
}
