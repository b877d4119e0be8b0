import { type Agent, request } from "node:http";

/**
 * The body of a 200 answer, from a URL, or from a path behind a Unix socket; `host` is the Host header where it is
 * another than the URL's. One connection for each call, unless `agent` keeps some.
 * @throws an error with the status and body of any other answer; after `within` ms (default 2 s) without an end
 */
export function get(
  url: string,
  options: { socketPath?: string; host?: string; within?: number; agent?: Agent } = {},
): Promise<string> {
  const { socketPath, host, within = 2000, agent = false } = options;
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      {
        agent,
        signal: AbortSignal.timeout(within),
        ...(socketPath === undefined ? {} : { socketPath }),
        ...(host === undefined ? {} : { headers: { host } }),
      },
      (answer) => {
        answer.setEncoding("utf8");
        let body = "";
        answer.on("data", (text: string) => {
          body += text;
        });
        answer.on("error", reject);
        answer.on("end", () =>
          answer.statusCode === 200
            ? resolve(body)
            : reject(new Error(`GET ${url}: ${answer.statusCode} ${body.trim()}`)),
        );
      },
    );
    asked.on("error", (cause) => reject(new Error(`GET ${url}: ${cause.message || cause.name}`, { cause })));
    asked.end();
  });
}
