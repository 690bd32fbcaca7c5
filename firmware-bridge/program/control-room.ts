import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSource, type Transport, writeFileAtomic } from '#sdk/node';
import type { ControlMessage, ControlSink, Publish } from '../control/control.ts';
import { MessageDesk } from '../control/message-desk.ts';
import { WorkBoard } from '../control/work-board.ts';
import { Ahead, type AheadOptions, type UploadPlace } from '../files/ahead.ts';
import { deliveryErrand } from '../files/deliveries.ts';
import { FileDesk, type WholeFile } from '../files/file-desk.ts';
import type { FileLimits } from '../files/file-limits.ts';
import { ImageShelf } from '../files/firmware.ts';
import { Outbox } from '../files/outbox.ts';
import { partSource } from '../files/part-source.ts';
import type { HeldKeys } from '../plc/held-keys.ts';
import type { Relay } from '../relay/relay.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { LinkJournal } from '../uplink/links.ts';
import type { Uplink } from '../uplink/uplink.ts';
import type { BridgeConfig } from './config.ts';

/** Blocks of files for devices: two of them fit into what the smallest have for a message. */
const DOWN_BLOCK_BYTES = 16_384;

const TELL_MS = 10_000;

export interface ControlRoomParts {
  config: BridgeConfig;
  base: URL;
  transport: Transport;
  relay: Relay;
  uplink: Uplink;
  links: LinkJournal;
  plcs: HeldKeys;
  signIn(): Pick<SignIn, 'revokedKeys'>;
  publish: Publish;
  count(name: string, label?: string): void;
  log(detail: string): void;
}

export interface ControlRoom extends ControlSink {
  /** A device listens (again). */
  listens(device: string): void;
  /** A broker is there (again). */
  back(): void;
  start(): void;
  files: { waiting: number; toDevices: number };
  close(): Promise<void>;
}

/** Everything at the bridge that is not about readings: calls of devices, files both ways, what the server waits for. */
export async function openControlRoom(parts: ControlRoomParts): Promise<ControlRoom> {
  const { config, base, transport, relay, links, uplink, publish, count, log } = parts;
  const outbox = new Outbox({ limits: config.files, publish, count, note: log });
  const delivery = { folder: join(config.data, 'outbox'), base, transport, relay, block: DOWN_BLOCK_BYTES };
  let told = false;
  /** Once a run, when the server is there: whose keys are held here is shown to people. */
  const tellHeld = () => {
    if (told) return;
    told = true;
    relay.holds(parts.plcs.devices, TELL_MS).catch((error: unknown) => {
      told = false;
      log(`the server could not be told whose keys are held here: ${String(error)}`);
    });
  };
  const shelf = new ImageShelf({ folder: join(config.data, 'images'), relay, trusted: config.firmwareKeys });
  const board = new WorkBoard({
    relay,
    intervalMs: config.limits.workIntervalMs,
    publish,
    took({ wishes, deliveries, firmware }) {
      tellHeld();
      void parts.plcs.look(wishes.map(({ device }) => device));
      outbox.show([
        ...deliveries.map((one) => deliveryErrand(one, delivery)),
        ...firmware.map(({ device, image }) => shelf.errand(device, image)),
      ]);
      void shelf.keep(new Set(firmware.map(({ image }) => image)));
    },
    note: log,
  });
  const messages = new MessageDesk({
    relay,
    count,
    note: log,
    revoked: (device, fingerprints) => void parts.signIn().revokedKeys(device, fingerprints),
    moved: () => void board.look(),
  });
  const files = await FileDesk.open({
    folder: join(config.data, 'files'),
    limits: config.files,
    ahead: (device, file, of) => sendAhead(uplink, config.files, { device, file, of }),
    send: (device, file) => sendFile(uplink, device, file),
    sent: (device, { id, manifest }, link) => links.add(device, { file: id, filename: manifest.name }, link),
    count,
    note: log,
  });
  return {
    control(message: ControlMessage) {
      if (message.topic === 'up/rotation') return messages.handle(message);
      if (message.topic.endsWith('/state')) return outbox.control(message);
      return files.control(message);
    },
    listens: (device) => outbox.listens(device),
    back: () => board.showAgain(),
    start: () => board.start(),
    get files() {
      return { waiting: files.backlog, toDevices: outbox.pending };
    },
    async close() {
      outbox.close();
      await board.close();
      await files.close();
    },
  };
}

/** Everything about the upload of a file that is the same at any gateway, and for one that begins it or ends it. */
function uploadOf(device: string, { id, manifest }: WholeFile) {
  const { name, type, note = null, ttl, recipient } = manifest;
  const about = { filename: name, contentType: type, note, ttlSeconds: ttl, recipient };
  return { about, idempotencyKey: `file-${device}-${id}` };
}

function placeOf({ folder }: WholeFile): { read(): Promise<UploadPlace>; write(place: UploadPlace): Promise<void> } {
  const path = join(folder, 'place.json');
  return {
    read: () =>
      readFile(path, 'utf8').then(
        (text) => JSON.parse(text) as UploadPlace,
        () => ({ location: null, restarts: 0 }),
      ),
    write: (place) => writeFileAtomic(path, JSON.stringify(place)),
  };
}

/** What sends the beginning of a file on, from wherever an earlier run or another gateway stood. */
async function sendAhead(
  uplink: Uplink,
  { aheadBytes, aheadMs }: FileLimits,
  { device, file, of }: { device: string; file: WholeFile; of: Pick<AheadOptions, 'ready' | 'read' | 'moved'> },
): Promise<Ahead> {
  const { about, idempotencyKey } = uploadOf(device, file);
  const { size, sha256 } = file.manifest;
  const place = placeOf(file);
  return new Ahead({
    ...{ idempotencyKey, aheadBytes, aheadMs, ...of },
    place: await place.read(),
    remember: (next) => place.write(next),
    ask: (request) => uplink.uploaderOf(device).ask({ ...request, about, sizeBytes: size, sha256 }),
  });
}

/** A whole file to the server, from wherever an earlier run stood: the same file under the same key, at any gateway. */
async function sendFile(uplink: Uplink, device: string, file: WholeFile) {
  const { about, idempotencyKey } = uploadOf(device, file);
  const { size: sizeBytes, sha256 } = file.manifest;
  const place = placeOf(file);
  const from = file.elsewhere;
  return uplink.uploaderOf(device).sendFrom({
    source: from === 0 ? await fileSource(file.path) : await partSource(file.path, { from, sizeBytes, sha256 }),
    ...about,
    idempotencyKey,
    resumably: true,
    resume: await place.read(),
    hooks: { remember: (location, restarts) => place.write({ location, restarts }) },
  });
}
