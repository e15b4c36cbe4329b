// Puts the package together: wasm/ (of `cargo xtask wasm`) and src/ become dist/.
// Types are checked here; tests are not run.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const run = (script, ...args) => {
  execFileSync(process.execPath, [script, ...args], { cwd: import.meta.dirname, stdio: 'inherit' });
};

rmSync(new URL('dist', import.meta.url), { recursive: true, force: true });
// No feature is switched on: the module says itself which it uses.
run('node_modules/binaryen/bin/wasm-opt', '-Oz', 'wasm/epode_wasm_bg.wasm', '-o', 'wasm/epode.wasm');
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const common = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  target: 'es2022',
  legalComments: 'none',
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  loader: { '.wasm': 'binary' },
  // The address of the module is asked for by a way of loading that is not used.
  logOverride: { 'empty-import-meta': 'silent' },
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
await build({ ...node, format: 'esm', outfile: 'dist/index.node.js' });
await build({ ...node, format: 'cjs', outfile: 'dist/index.node.cjs' });

// The page of `epode serve --web`, which is no part of the package.
run('node_modules/typescript/bin/tsc', '-p', 'page');
const page = { ...common, platform: 'browser', entryPoints: ['page/page.ts'], minify: true };
await build({ ...page, format: 'esm', outfile: 'dist/page/page.js' });
for (const file of ['index.html', 'style.css', 'icon.svg']) {
  copyFileSync(new URL(`page/${file}`, import.meta.url), new URL(`dist/page/${file}`, import.meta.url));
}

for (const file of ['wasm/epode.wasm', 'dist/strophe.js', 'dist/index.js', 'dist/shared-connection-worker.js']) {
  const bytes = readFileSync(new URL(file, import.meta.url));
  const sizes = [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length];
  const [raw, gzip, brotli] = sizes.map((size) => size.toLocaleString('en'));
  console.log(`${file}: ${raw} bytes, gzip ${gzip}, brotli ${brotli}`);
}
