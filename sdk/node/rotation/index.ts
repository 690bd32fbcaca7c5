/** The rotation agent of `sdk/core` on Node: slots in files, requests over HTTP, boots counted durably. */
export * from './boots.ts';
export * from './identity.ts';
export * from './open-rotation.ts';
export * from './rotating-transport.ts';
export * from './rotator.ts';
