#!/usr/bin/env node
import { main } from './main.ts';

/** The program, whatever its file is called where it was copied to. */
process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  tty: process.stderr.isTTY === true,
});
