/** The narrow waist: what server, SDK, bridge, dashboard and simulator agree on. Imports nothing. */
export * from './errors.ts';
export * from './events.ts';
export * from './file-manifest.ts';
export * from './fleet.ts';
export * from './gateway-message.ts';
export * from './headers.ts';
export * from './incident.ts';
export * from './limits.ts';
export * from './messages.ts';
export * from './rotation-header.ts';
export * from './sealed-file.ts';
export * from './signed-request.ts';
