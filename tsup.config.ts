import { defineConfig, type Options } from "tsup";

/**
 * Without splitting, esbuild moves the `import` of a package to the top of the one file, so that every start
 * would load every client. A module that awaits `import()` in its place is loaded when the module that needs it
 * is.
 */
const lazyPackages: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "lazy-packages",
  setup(build) {
    build.onResolve({ filter: /^[a-z@][^:]*$/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "lazy-package" } : { path, external: true },
    );
    build.onLoad({ filter: /./, namespace: "lazy-package" }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter(
        (name) => /^\w+$/.test(name) && name !== "default",
      );
      return {
        contents: `const all = await import(${JSON.stringify(path)});
          export default all.default;
          export const { ${names.join(", ")} } = all;`,
      };
    });
  },
};

const everywhere: Options = { format: ["esm"], target: "node20", platform: "node", silent: true };

const program: Options = {
  ...everywhere,
  entry: { cli: "src/cli.ts" },
  // One file; every package is left to the plugin.
  splitting: false,
  noExternal: [/./],
  esbuildPlugins: [lazyPackages],
  banner: { js: "#!/usr/bin/env node" },
};

/** The suite that other people's backends run, within a Vitest of their own. */
const contract: Options = {
  ...everywhere,
  entry: { contract: "test/backends/contract/suite.ts" },
  external: ["vitest"],
};

/** The status page, for browsers; what stands beside its script is copied. */
const page: Options = {
  entry: { page: "src/page/page.ts" },
  outDir: "dist/page",
  publicDir: "src/page/static",
  format: ["esm"],
  platform: "browser",
  target: "es2022",
  minify: true,
  silent: true,
};

export default defineConfig([program, contract, page]);
