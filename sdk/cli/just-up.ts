import { uptime } from 'node:os';

/** A machine up for less has perhaps come back with all the others: then the first upload waits a random moment. */
const JUST_UP_SECONDS = 300;

export function isJustUp(): boolean {
  return uptime() < JUST_UP_SECONDS;
}
