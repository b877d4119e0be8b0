import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createKnownSecrets } from "../../src/templater/known-secrets.ts";
import { tempDir } from "../servers/run.ts";

describe("secrets that templates read", () => {
  it("are values of variables, keys and containers' variables whose names say so", () => {
    const secrets = createKnownSecrets({ API_TOKEN: "token-1", PATH: "/bin", PIN_KEY: "1" });
    const tree = new Map([["db/password", "tree-3"]]);
    const keys = new Map([
      ["lb/secret", "key-2"],
      ["lb/title", "title"],
    ]);
    const container = { env: { DB_PASSWORD: "container-4", MODE: "fast" } };
    secrets.note({
      keys: { keys, trees: new Map([["db", tree]]) },
      containers: { containers: [container] } as never,
    });
    expect(secrets.mask("token-1 /bin 1 key-2 title tree-3 container-4 fast")).toBe(
      "… /bin 1 … title … … fast",
    );
  });

  it("are not the folders of a shell, which are a part of every path below them", () => {
    const secrets = createKnownSecrets({ PWD: "/etc/lb", OLDPWD: "/root", DB_PWD: "pwd-1" });
    expect(secrets.mask("/etc/lb/haproxy.cfg /root pwd-1")).toBe("/etc/lb/haproxy.cfg /root …");
  });

  it("are all lines of files that are named so, or that not everybody may read", () => {
    const dir = tempDir("known-secrets");
    const secrets = createKnownSecrets({});
    for (const [name, text, mode] of [
      ["password", "named\n", 0o644],
      ["motd", "welcome\n", 0o644],
      ["lb.pem", "BEGIN\nfirst line\nsecond line\n", 0o600],
    ] as const) {
      writeFileSync(join(dir, name), text, { mode });
      expect(secrets.file(join(dir, name))).toEqual({ text });
    }
    expect(secrets.file(join(dir, "missing"))).toEqual({ problem: "does not exist" });
    expect(secrets.mask("named, welcome, first line")).toBe("…, welcome, …");
  });

  it("are found as JSON and base64 have them, and the longer one of two first", () => {
    const secrets = createKnownSecrets({ A_SECRET: 'say "so"', B_SECRET: 'say "so" twice' });
    const encoded = Buffer.from('say "so"').toString("base64");
    expect(secrets.mask(`{"a":"say \\"so\\""} ${encoded} say "so" twice`)).toBe('{"a":"…"} … …');
  });

  it("are masked in diffs, with what may have been one before", () => {
    const secrets = createKnownSecrets({ TOKEN: "new-token" });
    const head = ["--- /a\tbefore", "+++ /a\tafter", "@@ -1,5 +1,5 @@"];
    const rest = [" x", "-server a", "+server b", ""];
    const change = ["-password old-token", "+password new-token", "+more"];
    const masked = (isRendered: boolean) =>
      secrets.maskDiff([...head, " auth new-token", ...change, ...rest].join("\n"), isRendered).split("\n");
    expect(masked(true)).toEqual([...head, " auth …", "-…", "+password …", "+more", ...rest]);
    // As a rollback has it.
    expect(masked(false)).toEqual([...head, " auth …", "-…", "+…", "+…", ...rest]);
  });

  it("leave a text that holds none as it is", () => {
    const text = "--- /a\n+++ /a\n@@ -1 +1 @@\n-a\n+b\n";
    expect(createKnownSecrets({}).maskDiff(text, false)).toBe(text);
  });
});
