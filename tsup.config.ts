import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defineConfig, type Options } from "tsup";
import { etcdProtocol } from "./tsup.etcd-protocol.ts";

type Plugin = NonNullable<Options["esbuildPlugins"]>[number];

const { resolve } = createRequire(import.meta.url);

/**
 * Every package has a copy in one file, below `packages`: they are what most starts wait for when Node.js has to find and
 * read hundreds of files. They stay dependencies, so that their licences come with them, and audits see them.
 */
const copied = [
  "@redis/client",
  "chokidar",
  "commander",
  "consul",
  "diff",
  "dockerode",
  "etcd3",
  "handlebars",
  "mysql2/promise",
  "node-zookeeper-client",
  "pino",
  "postgres",
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
const unused = /^(ssh2|tar-fs|@balena\/dockerignore|thread-stream|source-map|\.\.\/locales\/index\.c?js)$/;
/** The same, of what others need. */
const unusedByDocker = /^@grpc\//;

/** The program requires the copy of a package when the module that needs it is loaded. */
const copies: Plugin = {
  name: "copies",
  setup(build) {
    build.onResolve({ filter: /^[a-z@][^:]*$/ }, ({ path }) =>
      copied.includes(path) ? { path, namespace: "copy" } : undefined,
    );
    build.onResolve({ filter: /./, namespace: "copy" }, ({ path }) => ({ path, external: true }));
    build.onLoad({ filter: /./, namespace: "copy" }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter(
        (name) => /^\w+$/.test(name) && name !== "default",
      );
      const contents = `const all = require("./packages/${path}.cjs");
        export default "default" in all ? all.default : all;
        export const { ${names.join(", ")} } = all;`;
      return { contents };
    });
  },
};

const withoutUnused: Plugin = {
  name: "without-unused",
  setup(build) {
    const leaveOut = (path: string) => ({ path, namespace: "unused" });
    build.onResolve({ filter: unused }, ({ path }) => leaveOut(path));
    build.onResolve({ filter: unusedByDocker }, ({ path, importer }) =>
      importer.includes("/dockerode/") ? leaveOut(path) : undefined,
    );
    build.onLoad({ filter: /./, namespace: "unused" }, () => ({ contents: "module.exports = {};" }));
  },
};

/** What a package reads beside its code when it is loaded, where its copy looks for it. */
const withFiles: Plugin = {
  name: "with-files",
  setup({ initialOptions: { outdir = "dist" }, onEnd }) {
    const protocol = join(dirname(resolve("etcd3/package.json")), "proto");
    onEnd(() => {
      mkdirSync(join(outdir, "proto"), { recursive: true });
      writeFileSync(join(outdir, "proto/rpc.proto"), etcdProtocol(protocol));
    });
  },
};

const everywhere: Options = { format: ["esm"], target: "node20", platform: "node", silent: true };

/** Files that `compiled.ts` loads: in the function that Node.js would put around them, and of bytes that are characters. */
const compiled: Options = {
  ...everywhere,
  format: ["cjs"],
  outExtension: () => ({ js: ".cjs" }),
  splitting: false,
  noExternal: [/./],
  banner: { js: "(function (exports, require, module, __filename, __dirname) {" },
  footer: { js: "})" },
  esbuildOptions(options) {
    options.charset = "ascii";
    // What a compiled script imports comes from nowhere.
    options.supported = { "dynamic-import": false };
  },
};

/** What the scripts of this folder are, unlike those of the folder above: Node.js has more to do until a module runs. */
const commonJs: Plugin = {
  name: "common-js",
  setup({ initialOptions: { outdir = "dist" }, onEnd }) {
    onEnd(() => {
      mkdirSync(outdir, { recursive: true });
      writeFileSync(join(outdir, "package.json"), '{ "type": "commonjs" }\n');
    });
  },
};

/** What is executed: it loads the program. */
const executables: Options = {
  ...everywhere,
  entry: { cli: "src/cli.ts", "compile-ahead": "src/compile-ahead.ts" },
  format: ["cjs"],
  outExtension: () => ({ js: ".js" }),
  splitting: false,
  define: { "import.meta.dirname": "__dirname" },
  banner: { js: "#!/usr/bin/env node" },
  esbuildPlugins: [commonJs],
};

const program: Options = {
  ...compiled,
  entry: { program: "src/program.ts" },
  define: { "import.meta.dirname": "__dirname" },
  esbuildPlugins: [copies],
};

const packages: Options = {
  ...compiled,
  entry: Object.fromEntries(copied.map((name) => [`packages/${name}`, resolve(name)])),
  minify: true,
  esbuildPlugins: [withoutUnused, withFiles],
};

/** The suite that other people's backends run, within a Vitest of their own. */
const contract: Options = {
  ...everywhere,
  entry: { contract: "test/backends/contract/suite.ts" },
  outExtension: () => ({ js: ".mjs" }),
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

export default defineConfig([executables, program, packages, contract, page]);
