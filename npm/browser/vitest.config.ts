import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['browser/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One browser at a time: logins are measured in it.
    fileParallelism: false,
  },
});
