import type { Server } from './platform.ts';

/** What `connect` was given. Also what `http.request` is given: it takes method, path and headers from here. */
export let server: Server;

export function serverIs(given: Server): void {
  server = given;
}
