import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import { flawOf } from "../../src/backends/pem.ts";
import { createAuthority } from "../servers/certificates.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";

/** Paths of PEM files, by what they hold. */
const paths: Record<string, string> = {};
const file = (name: string) => ({ path: name, text: readFileSync(paths[name] ?? "", "utf8") });

beforeAll(async () => {
  const { openssl } = await ensureInstalled(["openssl"]);
  const dir = tempDir("pem");
  const authority = await createAuthority("pem");
  const [own, other] = [await authority.sign("own"), await authority.sign("other")];
  const read = (path: string) => readFileSync(path, "utf8");
  const put = (name: string, text: string) => {
    paths[name] = join(dir, name);
    writeFileSync(paths[name], text);
  };
  Object.assign(paths, { ca: authority.ca, cert: own.cert, key: own.key, otherKey: other.key });
  put("garbage", "no certificate\n");
  put("empty", "");
  put("bundle", `# of two\n${read(authority.ca)}\n# and\n${read(own.cert)}`);
  put("damaged", `${read(authority.ca)}${read(own.cert).replace(/^MII/m, "AAA")}`);
  put("both", `${read(own.key)}${read(own.cert)}`);
  paths.locked = join(dir, "locked");
  const locked = ["-v2", "aes256", "-passout", "pass:secret", "-out", paths.locked];
  await exec(openssl.openssl, ["pkcs8", "-topk8", "-in", own.key, ...locked]);
});

describe("PEM files", () => {
  it.each([
    [{ ca: "ca" }],
    [{ ca: "bundle" }],
    [{ ca: "ca", cert: "cert", key: "key" }],
    [{ cert: "both", key: "both" }],
    [{}],
  ])("%o can be used", (names) => {
    expect(flawIn(names)).toBeUndefined();
  });

  it.each([
    [{ ca: "garbage" }, /^garbage: no certificate in PEM format.*BEGIN CERTIFICATE/],
    [{ ca: "empty" }, /^empty: no certificate/],
    [{ ca: "key" }, /^key: no certificate/],
    [{ ca: "damaged" }, /^damaged: no certificate in PEM format, or a damaged one/],
    [{ ca: "ca", cert: "garbage", key: "key" }, /^garbage: no certificate/],
    [{ ca: "ca", cert: "cert", key: "garbage" }, /^garbage: no private key in PEM format.*BEGIN PRIVATE KEY/],
    [{ cert: "cert", key: "cert" }, /^cert: no private key/],
    [{ cert: "cert", key: "locked" }, /^locked: no private key in PEM format that needs no passphrase/],
    [{ cert: "cert", key: "otherKey" }, /^otherKey: not the key of the certificate in cert/],
  ])("%o cannot", (names, words) => {
    expect(flawIn(names)).toMatch(words);
  });

  const flawIn = (names: Readonly<Record<string, string>>) =>
    flawOf(Object.fromEntries(Object.entries(names).map(([part, name]) => [part, file(name)])));

  it.each(["etcd", "consul", "consulkv", "zookeeper"])(
    "that cannot be used are told by name when a backend of %s is opened",
    async (scheme) => {
      const at = (ca: string, cert: string, key: string) =>
        `${scheme}+tls://127.0.0.1:1${scheme === "consul" ? "" : "/x"}?ca=${paths[ca]}&cert=${paths[cert]}&key=${paths[key]}`;
      for (const [url, flawed] of [
        [at("garbage", "cert", "key"), "garbage"],
        [at("ca", "garbage", "key"), "garbage"],
        [at("ca", "cert", "locked"), "locked"],
        [at("ca", "cert", "otherKey"), "otherKey"],
      ] as const) {
        await expect(openBackend(url, { env: {} })).rejects.toMatchObject({
          code: "BACKEND_URL",
          message: expect.stringContaining(`": ${paths[flawed]}: `) as string,
        });
      }
    },
  );
});
