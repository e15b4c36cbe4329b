// Puts the package together: wasm/ (of `cargo xtask wasm`) and src/ become dist/.
// Types are checked here; tests are not run.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build, transformSync } from 'esbuild';

const run = (script, ...args) => {
  execFileSync(process.execPath, [script, ...args], { cwd: import.meta.dirname, stdio: 'inherit' });
};
const binaryen = (tool, ...args) => run(`node_modules/binaryen/bin/${tool}`, ...args);
const here = (file) => new URL(file, import.meta.url);
const text = (file) => readFileSync(here(file), 'utf8');

rmSync(here('dist'), { recursive: true, force: true });
// No feature is switched on: the module says itself which it uses.
binaryen('wasm-opt', '-Oz', 'wasm/epode_wasm_bg.wasm', '-o', 'wasm/epode.wasm');
writeWithoutWasm();
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
writeTypesForRequire();

const { version } = JSON.parse(text('package.json'));
const common = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  target: 'es2022',
  legalComments: 'none',
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  loader: { '.wasm': 'binary' },
};
const browser = { ...common, platform: 'browser', entryPoints: ['src/index.ts'] };
const node = {
  ...common,
  platform: 'node',
  entryPoints: ['src/index.node.ts'],
  external: ['ws', '@xmldom/xmldom'],
};
await build({ ...browser, format: 'esm', outfile: 'dist/index.js' });
await build({ ...browser, format: 'iife', minify: true, outfile: 'dist/strophe.js' });
await build({
  ...common,
  platform: 'browser',
  entryPoints: ['src/shared-worker.ts'],
  format: 'iife',
  minify: true,
  outfile: 'dist/shared-connection-worker.js',
});
// What it loads for stream management.
const sharedCore = { ...common, platform: 'browser', entryPoints: ['src/shared-core.ts'], format: 'iife', minify: true };
await build({ ...sharedCore, outfile: 'dist/shared-connection-core.js' });
await build({ ...node, format: 'esm', outfile: 'dist/index.node.js' });
await build({ ...node, format: 'cjs', outfile: 'dist/index.node.cjs' });

// The core as a file beside the JavaScript.
const slim = { format: 'esm', plugins: [moduleFrom('src/module.slim.ts')] };
await build({ ...browser, ...slim, entryPoints: ['src/index.slim.ts'], outfile: 'dist/slim.js' });
await build({ ...node, ...slim, entryPoints: ['src/index.slim.node.ts'], outfile: 'dist/slim.node.js' });
copyFileSync(here('wasm/epode.wasm'), here('dist/epode.wasm'));

// The core as JavaScript.
const without = {
  minify: true,
  inject: ['src/module.no-wasm.ts'],
  plugins: [moduleFrom('src/module.no-wasm.ts'), memoryThatMoves()],
};
await build({ ...browser, ...without, format: 'esm', outfile: 'dist/no-wasm.js' });
await build({ ...browser, ...without, format: 'iife', outfile: 'dist/strophe.no-wasm.js' });
await build({ ...sharedCore, ...without, outfile: 'dist/shared-connection-core.no-wasm.js' });
await build({ ...node, ...without, format: 'esm', outfile: 'dist/no-wasm.node.js' });
await build({ ...node, ...without, format: 'cjs', outfile: 'dist/no-wasm.node.cjs' });

// The page of `epode serve --web`, which is no part of the package.
run('node_modules/typescript/bin/tsc', '-p', 'page');
const page = { ...common, platform: 'browser', entryPoints: ['page/page.ts'], minify: true };
await build({ ...page, format: 'esm', outfile: 'dist/page/page.js' });
for (const file of ['index.html', 'style.css', 'icon.svg']) {
  copyFileSync(here(`page/${file}`), here(`dist/page/${file}`));
}

const shared = ['shared-connection-worker.js', 'shared-connection-core.js'];
const files = ['epode.wasm', 'slim.js', 'index.js', 'strophe.js', 'no-wasm.js', ...shared];
for (const file of files) {
  const bytes = readFileSync(here(`dist/${file}`));
  const sizes = [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length];
  const [raw, gzip, brotli] = sizes.map((size) => size.toLocaleString('en'));
  console.log(`dist/${file}: ${raw} bytes, gzip ${gzip}, brotli ${brotli}`);
  if (file === 'epode.wasm') refuseMoreThan(process.env.EPODE_WASM_LIMIT, sizes[1]);
}

/** The module grows by and by, unless somebody has to look. */
function refuseMoreThan(limit, gzip) {
  if (limit === undefined || gzip <= Number(limit)) return;
  throw new Error(
    `dist/epode.wasm has ${gzip} bytes after gzip, and may have ${limit}: look for what has grown ` +
      '(docs/decisions/0025-the-size-of-the-module.md says how), or raise LARGEST in xtask/src/wasm.rs',
  );
}

/** Writes the module as JavaScript: a function from what it imports to what it exports. */
function writeWithoutWasm() {
  const [lowered, script] = ['wasm/epode.lowered.wasm', 'wasm/epode.wasm2js.js'];
  binaryen('wasm-opt', '--llvm-nontrapping-fptoint-lowering', 'wasm/epode.wasm', '-o', lowered);
  binaryen('wasm2js', '-Oz', lowered, '-o', script);
  const [, body] = /^(?:import .*\n)*([^]*)\nvar retasmFunc = asmFunc\(/.exec(text(script)) ?? [];
  if (!body) throw new Error('wasm2js writes modules in another form now: see writeWithoutWasm');
  const { code } = transformSync(`${body}\nexport default asmFunc;\n`, { minify: true });
  writeFileSync(here(script), code); // once, since it takes a while
}

/** The same types once more, as those of CommonJS: TypeScript lets `require` have no others. */
function writeTypesForRequire() {
  cpSync(here('dist/types'), here('dist/types-require'), { recursive: true });
  writeFileSync(here('dist/types-require/package.json'), '{ "type": "commonjs" }\n');
}

/** Takes another file for `src/module.ts`. */
function moduleFrom(file) {
  const path = here(file).pathname;
  return {
    name: 'module',
    setup: ({ onResolve }) => onResolve({ filter: /^\.\/module\.js$/ }, () => ({ path })),
  };
}

/** Memory of WebAssembly is empty once it has moved; memory of JavaScript is another one. */
function memoryThatMoves() {
  const onLoad = ({ path }) => {
    const script = readFileSync(path, 'utf8');
    const views = script.match(/^let cached\w+Memory0 = null;$/gm) ?? [];
    const checks = /if \((cached\w+Memory0) === null \|\| .*\) \{$/gm;
    if (views.length === 0 || script.match(checks)?.length !== views.length) {
      throw new Error('the script keeps memory in another way now: see memoryThatMoves');
    }
    return { contents: script.replace(checks, 'if ($1?.buffer !== wasm.memory.buffer) {') };
  };
  return {
    name: 'memory',
    setup: (build) => build.onLoad({ filter: /epode_wasm\.js$/ }, onLoad),
  };
}
