import type { Finding } from "../doctor/finding.ts";

/** Findings for people: each thing that was looked at with what was found, and at the end how many are not ok. */
export function findingsText(findings: readonly Finding[]): string {
  const lines: string[] = [];
  let about: string | undefined;
  for (const finding of findings) {
    if (finding.about !== about) lines.push(finding.about);
    about = finding.about;
    lines.push(`  ${finding.level.padEnd(7)}  ${indented(finding.found)}`);
    if (finding.means !== undefined) lines.push(`           it means: ${indented(finding.means)}`);
    if (finding.wayOut !== undefined) lines.push(`           way out:  ${indented(finding.wayOut)}`);
  }
  const count = (level: Finding["level"]) => findings.filter((one) => one.level === level).length;
  const [wrong, warnings] = [count("wrong"), count("warning")];
  const sum = wrong + warnings === 0 ? "all in order" : `${wrong} wrong, ${warnings} to be looked at`;
  return `${[...lines, "", sum].join("\n")}\n`;
}

const indented = (text: string) => text.replaceAll("\n", `\n${" ".repeat(11)}`);
