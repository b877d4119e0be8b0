import { deadline } from "../../clock.ts";
import { hasCode } from "../../durable.ts";
import { PortolanError } from "../../errors.ts";
import type { HttpReload } from "../target.ts";
import { ReloadError, type Reloader } from "./reloader.ts";

/** Sends a request without a body; an expected status is acceptance. Redirects are not followed. */
export function httpReload({ url, method, expect }: HttpReload): Reloader {
  const { address, headers } = withoutCredentials(url);
  // Parameters may be credentials, too.
  const [shown] = address.split("?");
  const accepts = (status: number) =>
    expect.length > 0 ? expect.includes(status) : status >= 200 && status < 300;

  return async ({ destination, timeout }, signal) => {
    const failed = (left: ReloadError["left"], reason: string, cause?: unknown) =>
      new ReloadError(left, `the reload of ${destination} failed: ${method} ${shown} ${reason}`, {
        cause,
      });
    const limit = deadline(timeout, signal);
    try {
      const response = await fetch(address, { method, headers, signal: limit, redirect: "manual" });
      const text = (await response.text()).trim().slice(-8192);
      if (accepts(response.status)) return { accepted: "reload" };
      const wanted = expect.length > 0 ? expect.join(" or ") : "200 to 299";
      throw failed("open", `answered ${response.status}, not ${wanted}${text === "" ? "" : `:\n${text}`}`);
    } catch (error) {
      if (error instanceof PortolanError) throw error;
      if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
      if (limit.aborted) throw failed("open", `did not answer within ${timeout / 1000} s`, error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const left = hasCode(cause, "ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH") ? "none" : "open";
      throw failed(left, `was not answered: ${cause instanceof Error ? cause.message : cause}`, error);
    }
  };
}

/** A user and password in the URL go into a header, as RFC 7617 has it; they are in no message then. */
function withoutCredentials(url: string) {
  const parsed = new URL(url);
  const { username, password } = parsed;
  if (username === "" && password === "") return { address: parsed.href, headers: {} };
  const pair = [username, password].map(decodeURIComponent).join(":");
  parsed.username = "";
  parsed.password = "";
  const headers = { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  return { address: parsed.href, headers };
}
