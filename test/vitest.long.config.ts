import { defineConfig } from 'vitest/config';

/** The suite of `npm run test:long`: 5 GiB files, kill loops, many seeds. One at a time: they measure memory. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['{sdk,server,firmware-bridge,device-sim,test}/**/*.long.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    // CI reads the counts from a file; people read the screen.
    reporters: process.env.TEST_REPORT ? ['default', ['json', { outputFile: process.env.TEST_REPORT }]] : ['default'],
    // No secret in any log line, of any test.
    setupFiles: ['test/support/secrets/setup.ts'],
    globalSetup: ['test/support/secrets/report.ts'],
    pool: 'forks',
    maxWorkers: 1,
    retry: process.env['CI'] ? 2 : 0,
    testTimeout: 900_000,
    // What is polled for comes soon, but not on a busy machine.
    expect: { poll: { timeout: 15_000 } },
    hookTimeout: 120_000,
  },
});
