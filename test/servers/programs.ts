// Where programs are on this machine.
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** The absolute path of a program; administrators' folders count even when the PATH leaves them out. */
export function executable(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, name))
    .find((path) => isAccessible(path, constants.X_OK));
}

/** The path itself when it can be read. */
export function readable(path: string): string | undefined {
  return isAccessible(path, constants.R_OK) ? path : undefined;
}

/** The folder of `file` in the highest numbered folder below `folder` that has it: `FOLDER/15/bin` for `bin/initdb`. */
export function newestOf(folder: string, file: string): string | undefined {
  const versions = readable(folder) === undefined ? [] : readdirSync(folder);
  return versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(folder, version, file))
    .filter((path) => isAccessible(path, constants.X_OK))
    .map((path) => dirname(path))[0];
}

/** Like `executable`, but only a program that needs no shared library. */
export function staticExecutable(name: string): string | undefined {
  const path = executable(name);
  return path !== undefined && !hasInterpreter(readFileSync(path)) ? path : undefined;
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** Whether a 64-bit little-endian ELF file names a loader (program header PT_INTERP, see elf(5)). */
function hasInterpreter(elf: Buffer): boolean {
  const start = Number(elf.readBigUInt64LE(0x20));
  const size = elf.readUInt16LE(0x36);
  const count = elf.readUInt16LE(0x38);
  const interpreter = 3;
  return Array.from({ length: count }, (_, i) => elf.readUInt32LE(start + i * size)).includes(interpreter);
}
