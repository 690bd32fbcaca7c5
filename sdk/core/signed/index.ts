/** Signed requests on the device (sdk/SIGNED.md): what a device needs that cannot verify a TLS certificate. */
export * from './hmac.ts';
export * from './key-wrap.ts';
export * from './sign.ts';
export * from './verify.ts';
