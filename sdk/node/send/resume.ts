import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ResumePoint } from '#sdk/core';
import type { Owner, RecordStore } from '../record-store.ts';
import { currentBoot, heldByAnother, recordStore } from '../record-store.ts';
import type { FileIdentity } from './file-source.ts';
import { sameIdentity } from './file-source.ts';
import type { TransferOptions } from './request.ts';

/** One send that is not finished, as it stands on disk. `location` opens the upload: hence 0600. */
export interface SendRecord {
  version: 1;
  identity: FileIdentity;
  /** Digest of name, recipient, ttl, note and burn: another recipient is another transfer. */
  options: string;
  idempotencyKey: string;
  restarts: number;
  location: string | null;
  owner: Owner;
}

function isRecord(value: unknown): value is SendRecord {
  const record = value as SendRecord | null;
  return (
    record?.version === 1 && typeof record.idempotencyKey === 'string' && typeof record.identity?.size === 'string'
  );
}

export function sendRecords(stateFolder: string): RecordStore<SendRecord> {
  return recordStore(join(stateFolder, 'sends'), isRecord);
}

export function optionsDigest(options: TransferOptions): string {
  return createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 32);
}

export interface Resumed {
  idempotencyKey: string;
  resume: ResumePoint;
}

/**
 * What an earlier run left of this very file for these very options: `busy` when another process still sends it,
 * null when there is nothing or the file is another by now.
 */
export async function findResume(
  records: RecordStore<SendRecord>,
  name: string,
  now: { identity: FileIdentity; options: string },
): Promise<Resumed | 'busy' | null> {
  const record = await records.load(name);
  if (record === null) return null;
  if (heldByAnother(record.owner)) return 'busy';
  if (!sameIdentity(record.identity, now.identity) || record.options !== now.options) return null;
  return { idempotencyKey: record.idempotencyKey, resume: { location: record.location, restarts: record.restarts } };
}

export function ownRecord(): Owner {
  return { pid: process.pid, boot: currentBoot() };
}
