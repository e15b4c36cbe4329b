import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // The name under which the examples of the documentation import the package.
    alias: { strophejs: new URL('dist/index.node.js', import.meta.url).pathname },
  },
  test: { include: ['test/**/*.test.ts'], testTimeout: 10_000 },
});
