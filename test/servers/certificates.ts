// Certificates for servers and clients that speak TLS, made by openssl for one test run.
import { writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { tempDir } from "./run.ts";

/** A certificate and its key: paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority, and what it signs. */
export interface Authority {
  /** The PEM file of its own certificate. */
  readonly ca: string;
  /** A certificate for a client of that name and, with the names or addresses of `hosts`, for a server. */
  sign(name: string, hosts?: readonly string[]): Promise<Certificate>;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** An authority of its own, in a folder that goes with the test run. */
export async function createAuthority(name: string): Promise<Authority> {
  const { openssl } = await ensureInstalled(["openssl"]);
  const run = (...args: readonly string[]) => exec(openssl.openssl, args);
  const dir = tempDir("certificates");
  const [ca, caKey] = [join(dir, "ca.pem"), join(dir, "ca.key")];
  await run("req", "-x509", ...newKey, "-keyout", caKey, "-out", ca, "-days", "2", "-subj", `/CN=${name}`);
  return {
    ca,
    async sign(subject, hosts = []) {
      const at = (ending: string) => join(dir, `${subject}.${ending}`);
      const [cert, key, request, extensions] = [at("pem"), at("key"), at("csr"), at("ext")];
      const names = hosts.map((host) => `${isIP(host) ? "IP" : "DNS"}:${host}`);
      writeFileSync(
        extensions,
        [
          "extendedKeyUsage=serverAuth,clientAuth",
          ...(names.length > 0 ? [`subjectAltName=${names.join(",")}`] : []),
        ].join("\n"),
      );
      await run("req", "-new", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${subject}`);
      const signed = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", "2", "-extfile", extensions];
      await run("x509", "-req", "-in", request, "-out", cert, ...signed);
      return { cert, key };
    },
  };
}
