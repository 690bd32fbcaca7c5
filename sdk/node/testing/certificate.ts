import { createPrivateKey, X509Certificate } from 'node:crypto';

/*
 * A certificate for 127.0.0.1, localhost and relay.test that signs itself, valid from 2020 to 2120, and its key.
 * For tests alone: everybody has the key.
 */
const CERTIFICATE =
  'MIIBezCCASGgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1mdXNlbGluayB0ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYDVQQDDA1mdXNlbGluayB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgWx3t9x0uebTwD73h75c45oFb2uUfup9wji3VdHXty2J8aF5yERFBHWUMLujOF9dJ6ZDt2j2a6XV5u8rUET1HaNaMFgwDwYDVR0TAQH/BAUwAwEB/zAmBgNVHREEHzAdhwR/AAABgglsb2NhbGhvc3SCCnJlbGF5LnRlc3QwHQYDVR0OBBYEFASgrHsXaAjRWPLtYj789dZ+vSXUMAoGCCqGSM49BAMCA0gAMEUCIQCfC6FHFJmuwkE8fqFmTKjmDwIaNLpgJcu4u26O3a4EQAIgCeEKgw+lSYr1K14d4dKWVdWtk8wuiKBRNJKwylIffw4=';
const KEY =
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgReZNbPhWD+trcnukzp79V4A2zGX+maZqAI1kzwLGS9GhRANCAASBbHe33HS55tPAPveHvlzjmgVva5R+6n3COLdV0de3LYnxoXnIREUEdZQwu6M4X10npkO3aPZrpdXm7ytQRPUd';

/** PEM of the test certificate, which is its own CA, and of its key. */
export function testCertificate(): { cert: string; key: string } {
  const key = createPrivateKey({ key: Buffer.from(KEY, 'base64'), format: 'der', type: 'pkcs8' });
  return {
    cert: new X509Certificate(Buffer.from(CERTIFICATE, 'base64')).toString(),
    key: key.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
}
