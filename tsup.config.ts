import { defineConfig } from "tsup";

export default defineConfig({
  entry: { cli: "src/cli.ts" },
  format: ["esm"],
  target: "node20",
  platform: "node",
  // One file: a backend's client stays a lazy import of the installed package.
  splitting: false,
  clean: true,
  silent: true,
  banner: { js: "#!/usr/bin/env node" },
});
