import { generateKeyPairSync, sign } from 'node:crypto';
import { FIRMWARE_LABEL } from '#sdk/protocol';
import { isSignedBy } from '../files/firmware.ts';
import type { MqttDevice } from './mqtt-device.ts';
import { DeviceInbox } from './mqtt-files.ts';

/** A vendor's key, and how it signs. */
export function pair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const hex = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url').toString('hex');
  const signed = (line: string) =>
    sign(null, Buffer.from(`${FIRMWARE_LABEL}\n${line}`), privateKey).toString('base64url');
  return { publicKey: hex, signed };
}

/** A device that takes images of its vendor, boots them, and says so. */
export class Pump {
  readonly device: MqttDevice;
  readonly inbox: DeviceInbox;
  running: string | null = null;
  /** What it says after it was told to boot. */
  boots: 'running' | 'failed' | 'silent' = 'running';
  refusals = 0;

  constructor(device: MqttDevice, folder: string, trusted: string) {
    this.device = device;
    this.inbox = new DeviceInbox(device, folder);
    this.inbox.accepts = (line, { firmware }, signature) => {
      if (firmware !== undefined && isSignedBy(trusted, line, signature ?? '')) return null;
      this.refusals += 1;
      return 'signature';
    };
    this.inbox.came = ({ id, manifest }) => {
      void (async () => {
        await device.report({ file: id, state: 'staged' });
        if (this.boots === 'silent') return;
        if (this.boots === 'running') this.running = manifest.firmware ?? null;
        await device.report({
          file: id,
          state: this.boots,
          ...(this.boots === 'failed' ? { reason: 'watchdog' } : {}),
        });
      })().catch(() => {});
    };
  }
}
