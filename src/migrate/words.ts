/**
 * A command line as the words of one program, where it needs no shell; else as it is, for a shell. `{{.src}}`, as confd
 * writes the staged file, becomes `{{src}}`.
 */
export function commandOf(line: string): readonly string[] | { readonly shell: string } {
  const ours = line.replace(/\{\{-?\s*\.src\s*-?\}\}/g, "{{src}}").trim();
  const plain = ours.replaceAll("{{src}}", "x");
  if (/[|&;<>()$`*?~#\n"'\\[\]!{}=]/.test(plain)) return { shell: ours };
  return ours.split(/\s+/);
}
