import { createRequire } from "node:module";
import { defineConfig, type Options } from "tsup";

type Plugin = NonNullable<Options["esbuildPlugins"]>[number];

const { resolve } = createRequire(import.meta.url);

/**
 * Packages of which the program has a copy in one file, below `packages`: they are what most starts wait for when
 * Node.js has to find and read hundreds of files. They stay dependencies, so that their licences come with them, and
 * audits see them.
 */
const copied = [
  "chokidar",
  "commander",
  "diff",
  "dockerode",
  "handlebars",
  "pino",
  "prom-client",
  "re2js",
  "smol-toml",
  "yaml",
  "zod",
];

/**
 * What the copies leave out, because Portolan asks for nothing that needs it: Docker by SSH and the building of images,
 * log transports, source maps of templates, and messages in other languages.
 */
const unused =
  /^(ssh2|@grpc\/.*|tar-fs|@balena\/dockerignore|thread-stream|source-map|\.\.\/locales\/index\.c?js)$/;

/**
 * Without splitting, esbuild moves the `import` of a package to the top of the one file, so that every start
 * would load every client. A module that awaits `import()` in its place, or requires the copy, is loaded when the
 * module that needs it is.
 */
const lazyPackages: Plugin = {
  name: "lazy-packages",
  setup(build) {
    build.onResolve({ filter: /^[a-z@][^:]*$/ }, ({ path, kind }) =>
      kind === "import-statement" || copied.includes(path)
        ? { path, namespace: "lazy-package" }
        : { path, external: true },
    );
    build.onLoad({ filter: /./, namespace: "lazy-package" }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter(
        (name) => /^\w+$/.test(name) && name !== "default",
      );
      const found = copied.includes(path)
        ? `import { createRequire } from "node:module";
          const all = createRequire(import.meta.url)("./packages/${path}.cjs");
          export default "default" in all ? all.default : all;`
        : `const all = await import(${JSON.stringify(path)});
          export default all.default;`;
      return { contents: `${found} export const { ${names.join(", ")} } = all;` };
    });
  },
};

const withoutUnused: Plugin = {
  name: "without-unused",
  setup(build) {
    build.onResolve({ filter: unused }, ({ path }) => ({ path, namespace: "unused" }));
    build.onLoad({ filter: /./, namespace: "unused" }, () => ({ contents: "module.exports = {};" }));
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

const packages: Options = {
  ...everywhere,
  entry: Object.fromEntries(copied.map((name) => [`packages/${name}`, resolve(name)])),
  format: ["cjs"],
  splitting: false,
  noExternal: [/./],
  minify: true,
  esbuildPlugins: [withoutUnused],
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

export default defineConfig([program, packages, contract, page]);
