#!/usr/bin/env node
import { program } from './cli/program.ts';

program()
  .parseAsync(process.argv)
  .catch((error: unknown) => {
    process.stderr.write(`fuselink-server: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
