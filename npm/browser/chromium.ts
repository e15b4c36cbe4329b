// Chromium, with pages that have to keep quiet: an exception or an error on the console that is not
// expected fails the test.

import { mkdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const PICTURES = new URL('../../target/browser/', import.meta.url).pathname;

/** Opens pages, in this test file alone. What logins that fail put on the console is `expected`. */
export function useChromium(expected: RegExp): (url: string, options?: BrowserContextOptions) => Promise<Page> {
  let browser: Browser;
  let complaints: string[] = [];
  beforeAll(async () => {
    // Chromium's sandbox cannot be had by root, who runs the tests in containers.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: EXECUTABLE, args });
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    const found = complaints;
    complaints = [];
    expect(found, 'what the page complained of').toEqual([]);
  });
  return async (url, options = {}) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      const isError = message.type() === 'error' && !expected.test(message.text());
      if (isError) complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  };
}

/** Keeps a picture of a page below the build folder, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}${name}.png`, fullPage: true });
}
