// What the README and package.json name is there. What is said of it is for people to check.

import { existsSync, readFileSync } from 'node:fs';
import * as all from 'strophejs';
import { expect, test } from 'vitest';

const { Strophe } = all;
const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
const readme = read('README.md');
const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, unknown> };

/** What the README has of this form, each once. */
function named(form: RegExp): string[] {
  const found = Array.from(readme.matchAll(form), ([, name]) => name!);
  expect(found, String(form)).not.toEqual([]);
  return [...new Set(found)];
}

test('its files are in the package', () => {
  for (const file of named(/`(dist\/[\w.-]+)`/g)) {
    expect(existsSync(new URL(`../${file}`, import.meta.url)), file).toBe(true);
  }
  for (const entry of named(/[`']epode\/([\w.-]+)[`']/g)) expect(exports, entry).toHaveProperty([`./${entry}`]);
});

test('its names are those of the package', () => {
  const connection = new Strophe.Connection('wss://example.com/ws', { enableStreamManagement: true });
  for (const name of named(/\bconn\.(\w+)/g)) expect(name in connection, `conn.${name}`).toBe(true);
  for (const name of named(/\bStrophe\.(\w+)/g)) {
    expect(name === 'js' || name in Strophe, `Strophe.${name}`).toBe(true);
  }
  for (const name of named(/`([A-Z]\w+(?:Error|Store|Backend|Mirror)|ComponentParser)`/g)) expect(all, name).toHaveProperty(name);
  for (const name of named(/`((?:_|do_)\w+)/g)) expect(name in connection, name).toBe(true);
});

test('its links within lead somewhere', () => {
  const heads = named(/^#+ (.+)$/gm).map((head) => head.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-'));
  for (const anchor of named(/\]\(#([\w-]+)\)/g)) expect(heads).toContain(anchor);
});

test('what package.json exports is in the package', () => {
  const files = [...JSON.stringify(exports).matchAll(/"\.\/(dist\/[^"]+)"/g)].map(([, file]) => file!);
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect(existsSync(new URL(`../${file}`, import.meta.url)), file).toBe(true);
});

test('types for require are those of CommonJS', () => {
  const types = [...JSON.stringify(exports).matchAll(/"require":\{"types":"\.\/dist\/([\w-]+)\//g)].map(([, folder]) => folder!);
  expect(types).toEqual(['types-require', 'types-require']);
  expect(JSON.parse(read('dist/types-require/package.json'))).toEqual({ type: 'commonjs' });
});
