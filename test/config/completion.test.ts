import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../src/commands/index.ts";
import { completionScript, type Shell, shells } from "../../src/config/completion.ts";
import { ensureInstalled, type Programs } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";

let programs: Programs<"shells">["shells"];
let folder: string;
beforeAll(async () => {
  ({ shells: programs } = await ensureInstalled(["shells"]));
  folder = tempDir("completion");
  mkdirSync(join(folder, "a folder"));
  writeFileSync(join(folder, "counts.yaml"), "");
  for (const shell of shells)
    writeFileSync(join(folder, `portolan.${shell}`), completionScript(shell, commands));
}, 300_000);

/** What each shell is told so that it says what it would offer for the last of the words. */
const ask: Readonly<Record<Shell, (words: readonly string[]) => string>> = {
  bash: (words) => `
    source portolan.bash; compopt() { :; }
    COMP_WORDS=(${words.map(quoted).join(" ")}); COMP_CWORD=${words.length - 1}
    _portolan; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Its own functions work in an editor only; these say what they are called with.
  zsh: (words) => `
    compdef() { :; }
    offer() { local word; for word; do [[ $word == $words[CURRENT]* ]] && print -r -- $word; done }
    compadd() { shift; offer "$@" }
    _files() { offer * }
    _describe() { offer "\${(@)\${(@P)@[-1]}%%:*}" }
    source ./portolan.zsh
    words=(${words.map(quoted).join(" ")}); CURRENT=${words.length}
    _portolan; true`,
  fish: (words) =>
    `source portolan.fish; complete -C ${quoted(words.join(" "))} | string split -f 1 \\t; true`,
};

const quoted = (text: string) => `'${text}'`;

function offered(shell: Shell, line: string): readonly string[] {
  const text = execFileSync(programs[shell], ["-c", ask[shell](line.split(" "))], {
    cwd: folder,
    encoding: "utf8",
    env: { HOME: folder, PATH: process.env.PATH },
  });
  return text.split("\n").filter(Boolean);
}

describe.each(shells)("completion in %s", (shell) => {
  it.each<[line: string, words: string[]]>([
    ["portolan re", ["registrator", "render"]],
    ["portolan registrator --onc", ["--once"]],
    ["portolan registrator --on-exit ", ["keep", "deregister", "drain"]],
    ["portolan templater --log-level wa", ["warn"]],
    ["portolan acl z", ["zookeeper"]],
    ["portolan completion ", ["bash", "zsh", "fish"]],
    ["portolan expect cou", ["counts.yaml"]],
    ["portolan check -c cou", ["counts.yaml"]],
    ["portolan services --backend ", []],
  ])("offers for %j: %j", (line, words) => {
    expect([...offered(shell, line)].sort()).toEqual([...words].sort());
  });

  it("offers every command, and every option of each with its help", () => {
    expect([...offered(shell, "portolan ")].sort()).toEqual(Object.keys(commands).sort());
    expect(offered(shell, "portolan agent --")).toEqual(
      expect.arrayContaining(["--backend", "--template", "--probe-credentials", "--help"]),
    );
  });
});
