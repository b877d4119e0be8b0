import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { sourcesOfSuite } from "./apt-source.ts";
import { tempDir } from "./run.ts";

const lines = (...all: readonly string[]): string => all.join("\n");

const cases: readonly {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly texts: readonly string[];
}[] = [
  {
    name: "paragraphs keep their address and keys, and lose side suites",
    files: {
      "sources.list.d/debian.sources": lines(
        "# a comment",
        "Types: deb deb-src",
        "URIs: http://mirror.example/debian",
        "Suites: trixie trixie-updates",
        "Components: main contrib",
        "Signed-By: /usr/share/keyrings/archive.gpg",
        "",
        "Types: deb",
        "URIs: http://mirror.example/security",
        "Suites: trixie-security",
        "Components: main",
      ),
    },
    texts: [
      lines(
        "URIs: http://mirror.example/debian",
        "Signed-By: /usr/share/keyrings/archive.gpg",
        "Types: deb",
        "Suites: bullseye",
        "Components: main",
        "",
      ),
    ],
  },
  {
    name: "lines keep their options",
    files: {
      "sources.list": lines(
        "deb-src http://mirror.example/debian bookworm main",
        "# deb http://old.example/debian bookworm main",
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours",
        "deb http://mirror.example/security bookworm-security main",
      ),
    },
    texts: ["deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bullseye main\n"],
  },
  {
    name: "what is switched off or has no main component is left out",
    files: {
      "sources.list.d/off.sources": lines(
        "Enabled: no",
        "Types: deb",
        "URIs: http://a.example",
        "Suites: sid",
        "Components: main",
      ),
      "sources.list.d/tool.list": "deb http://tool.example bookworm stable",
      "sources.list.d/old.list.disabled": "deb http://old.example bookworm main",
    },
    texts: [],
  },
];

test.each(cases)("$name", ({ files, texts }) => {
  const etc = tempDir("apt");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(etc, name)), { recursive: true });
    writeFileSync(join(etc, name), text);
  }
  expect(sourcesOfSuite(etc, "bullseye", "main").map(({ text }) => text)).toEqual(texts);
});
