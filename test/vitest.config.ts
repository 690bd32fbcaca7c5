import { defineConfig } from 'vitest/config';

/** The suite of `npm test`: everything but `*.long.test.ts`. Two workers, because two cores is what CI has. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['{sdk,server,firmware-bridge,device-sim,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.long.test.ts'],
    // CI reads the counts from a file; people read the screen.
    reporters: process.env.TEST_REPORT ? ['default', ['json', { outputFile: process.env.TEST_REPORT }]] : ['default'],
    // No secret in any log line, of any test.
    setupFiles: ['test/support/secrets/setup.ts'],
    globalSetup: ['test/support/secrets/report.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // CI's two cores are shared with others: a test of kills and races may starve once. What needed it is in the report.
    retry: process.env['CI'] ? 2 : 0,
    testTimeout: 60_000,
    // What is polled for comes soon, but not on a busy machine.
    expect: { poll: { timeout: 15_000 } },
    hookTimeout: 60_000,
  },
});
