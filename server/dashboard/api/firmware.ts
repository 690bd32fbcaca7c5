import { call } from './calls.ts';

/** Signed images for devices behind gateways, and the keys whose signatures count. */

export interface FirmwareImage {
  id: string;
  release: string;
  name: string;
  size: number;
  sha256: string;
  signer: string;
  created_at: string;
}

export interface FirmwareKey {
  public_key: string;
  name: string;
  created_at: string;
}

export const listFirmware = (query: { cursor?: string | undefined; limit?: number }) =>
  call<{ images: FirmwareImage[]; next_cursor: string | null }>('GET', 'v1/firmware', { query: { ...query } });
export const removeFirmware = (id: string) => call<FirmwareImage>('DELETE', `v1/firmware/${encodeURIComponent(id)}`);
export const listFirmwareKeys = () => call<{ keys: FirmwareKey[] }>('GET', 'v1/firmware-keys');
export const trustFirmwareKey = (body: { public_key: string; name: string }) =>
  call<FirmwareKey>('POST', 'v1/firmware-keys', { body });
export const distrustFirmwareKey = (publicKey: string) => call<FirmwareKey>('DELETE', `v1/firmware-keys/${publicKey}`);
