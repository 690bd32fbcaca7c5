import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { idempotencyKey } from '#sdk/core';
import { FILE_BYTES_MAX, TTL_SECONDS_MAX, TTL_SECONDS_MIN } from '#sdk/protocol';
import type { SealOptions, SendOptions, SendResult, SendSource } from '../api.ts';
import { FuselinkError, optionInvalid } from '../errors.ts';
import type { RecordStore } from '../record-store.ts';
import { currentBoot } from '../record-store.ts';
import type { OpenedSource } from './open-source.ts';
import { openSource } from './open-source.ts';
import type { TransferOptions } from './request.ts';
import type { SendRecord } from './resume.ts';
import { findResume, optionsDigest, ownRecord, sendRecords } from './resume.ts';
import type { Finished, JobHooks, Uploader } from './uploader.ts';

export const GIVE_UP_AFTER_MS_DEFAULT = 900_000;
const LANE_DEFAULT = 1;
const LANE_MAX = 9;

export interface SenderOptions {
  uploader: Uploader;
  /** The server's address: part of a record's name. */
  server: string;
  device: string | undefined;
  stateFolder: string | null;
  oneShotBytesMax: number;
  warn(code: string, detail: string): void;
  hooksFor(filename: string, options: SendOptions): JobHooks;
  /** Opens a source that is sealed as it is sent. */
  openSealed(from: SendSource, given: SendOptions & { seal: SealOptions }): Promise<OpenedSource>;
}

/** The caller's options, checked here because a refusal by the server would cost the whole file first. */
function transferOptions(given: SendOptions, name: string | null): TransferOptions {
  const ttl = given.ttlSeconds ?? null;
  if (ttl !== null && (!Number.isInteger(ttl) || ttl < TTL_SECONDS_MIN || ttl > TTL_SECONDS_MAX)) {
    throw optionInvalid(
      `ttlSeconds is expected as a whole number from ${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX}, got ${ttl}`,
    );
  }
  const lane = given.lane ?? LANE_DEFAULT;
  if (!Number.isInteger(lane) || lane < 0 || lane > LANE_MAX)
    throw optionInvalid(`lane is expected from 0 to 9, got ${lane}`);
  return {
    filename: given.filename ?? name ?? 'data.bin',
    contentType: given.contentType ?? 'application/octet-stream',
    recipient: given.recipient ?? null,
    ttlSeconds: ttl,
    note: given.note ?? null,
    burn: given.burn ?? null,
  };
}

function resultOf(finished: Finished, transfer: TransferOptions, sealed: OpenedSource['sealed']): SendResult {
  const { id, state, expiresAt } = finished.link;
  const { sizeBytes, sha256 } = finished;
  const fragment = sealed?.fragment() ?? null;
  const url = finished.link.url === null || fragment === null ? finished.link.url : `${finished.link.url}#${fragment}`;
  const filename = sealed?.name ?? transfer.filename;
  return { id, url, state, expiresAt, filename, sizeBytes, sha256, sealed: sealed !== undefined };
}

/** What the server is told of a sealed file: its own name and type are inside. */
function withoutPrivate(given: SendOptions): SendOptions {
  return { ...given, filename: undefined, contentType: undefined };
}

/** Turns "send this" into a job: its name, its key, and what an earlier run of it left behind. */
export function createSender(options: SenderOptions): {
  send(from: SendSource, given: SendOptions): Promise<SendResult>;
} {
  const { uploader, stateFolder } = options;
  const records: RecordStore<SendRecord> | null = stateFolder === null ? null : sendRecords(stateFolder);
  const device = options.device ?? hostname();
  const boot = currentBoot().slice(0, 8) || randomBytes(4).toString('hex');
  const underWay = new Set<string>();
  let sequence = 0;
  let pruned = false;

  function newKey(): string {
    sequence += 1;
    return idempotencyKey({
      device,
      boot: `${boot}-${process.pid}`,
      sequence,
      random: randomBytes(16).toString('hex'),
    });
  }

  async function run(opened: OpenedSource, transfer: TransferOptions, given: SendOptions): Promise<SendResult> {
    const { source, file } = opened;
    const name = file === null ? null : `${options.server}\n${file.path}`;
    // The same file twice at once in one process: the second is a transfer of its own.
    const recorded = records !== null && name !== null && file !== null && !underWay.has(name);
    const digest = optionsDigest(transfer);
    const found = recorded
      ? await findResume(records, name, { identity: file.source.identity, options: digest })
      : null;
    const durable = recorded && found !== 'busy';
    const earlier = found === 'busy' ? null : found;
    const key = earlier?.idempotencyKey ?? newKey();
    if (durable) underWay.add(name);
    const hooks = options.hooksFor(transfer.filename, given);
    if (durable) {
      let writable = true;
      hooks.remember = async (location, restarts) => {
        if (!writable) return;
        const { identity } = file.source;
        const record = { version: 1, identity, options: digest, idempotencyKey: key, restarts, location } as const;
        try {
          await records.save(name, { ...record, owner: ownRecord() });
        } catch (error) {
          // A device with a read-only disk can still send; only going on after a kill is lost, and told.
          writable = false;
          options.warn('state_unwritable', `what resumes a send cannot be stored: ${(error as Error).message}`);
        }
      };
      hooks.forget = async () => {
        if (!writable) return;
        await records.remove(name).catch((error: Error) => {
          // The next send of this file would ask for this transfer again, and get its link or be told that it is gone.
          options.warn('state_unwritable', `a finished send cannot be forgotten: ${error.message}`);
        });
      };
    }
    try {
      const spec = {
        id: randomBytes(8).toString('hex'),
        lane: given.lane ?? LANE_DEFAULT,
        sizeBytes: source.sizeBytes,
        idempotencyKey: key,
        replayable: source.replayable,
        durable,
        resume: earlier?.resume ?? null,
        whenRefused: given.whenRefused ?? 'fail',
        giveUpAfterMs: given.giveUpAfterMs === undefined ? GIVE_UP_AFTER_MS_DEFAULT : given.giveUpAfterMs,
      } as const;
      const { onStored } = given;
      if (onStored !== undefined)
        hooks.stored = async (finished) => onStored(resultOf(finished, transfer, opened.sealed));
      return resultOf(await uploader.submit(spec, source, transfer, hooks, given.signal), transfer, opened.sealed);
    } finally {
      if (durable) underWay.delete(name);
    }
  }

  return {
    async send(from, given) {
      if (!pruned && records !== null) {
        pruned = true;
        await records.prune(Date.now());
      }
      transferOptions(given, null);
      const { seal } = given;
      const sealed = seal !== undefined;
      const opened = await (sealed
        ? options.openSealed(from, { ...given, seal })
        : openSource(from, options.oneShotBytesMax));
      if (opened.source.sizeBytes !== null && opened.source.sizeBytes > FILE_BYTES_MAX) await opened.source.close();
      else return run(opened, transferOptions(sealed ? withoutPrivate(given) : given, opened.name), given);
      const has = `this one has ${opened.source.sizeBytes}`;
      throw new FuselinkError(
        'payload_too_large',
        `a file may have at most ${FILE_BYTES_MAX} bytes (5 GiB), and ${has}`,
      );
    },
  };
}
