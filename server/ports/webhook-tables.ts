import type { AccountId, DeviceId } from '../domain/ids.ts';
import type { TableShape } from './table-shape.ts';

/** Where an account wants to be told of what operators wait for. */
export interface WebhookRow {
  id: string;
  account_id: AccountId;
  /** The address, sealed under FUSELINK_SECRET: many have a token in their path. */
  sealed_url: Uint8Array;
  /** What its messages are signed with, sealed. */
  sealed_secret: Uint8Array;
  /** Types it wants (domain/webhook/types.ts). */
  events: string[];
  state: 'active' | 'disabled';
  /** Why it is disabled. */
  reason: string | null;
  /** The account's audit chain has been turned into messages up to this entry. */
  cursor_seq: number;
  /** Since when no message has been taken; null: the last one was. */
  failing_since_ms: number | null;
  created_at_ms: number;
  version: number;
}

/** One message to one webhook. Its id is what receivers tell repeats by. */
export interface WebhookMessageRow {
  id: string;
  webhook_id: string;
  account_id: AccountId;
  type: string;
  /** The body, byte for byte the same at every try. */
  body: string;
  state: 'waiting' | 'delivered' | 'failed';
  attempts: number;
  /** `waiting`: not to be tried before this; a node that is trying it has put it beyond its own time. Else when the row is dropped. */
  due_at_ms: number;
  /** What came of the last try: a status, or why there was none. */
  outcome: string | null;
  created_at_ms: number;
  ended_at_ms: number | null;
  version: number;
}

/** A device that has not been heard for too long, and that this was told of. */
export interface SilentDeviceRow {
  device_id: DeviceId;
  account_id: AccountId;
  /** When it was heard last. */
  heard_at_ms: number;
  version: number;
}

export interface WebhookTables {
  webhooks: WebhookRow;
  webhook_messages: WebhookMessageRow;
  silent_devices: SilentDeviceRow;
}

export const WEBHOOK_TABLES: { readonly [T in keyof WebhookTables]: TableShape<WebhookTables[T]> } = {
  webhooks: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      sealed_url: 'bytes',
      sealed_secret: 'bytes',
      events: 'json',
      state: 'text',
      reason: 'text?',
      cursor_seq: 'int',
      failing_since_ms: 'int?',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['account_id', 'created_at_ms', 'id'],
      ['state', 'id'],
    ],
  },
  webhook_messages: {
    key: 'id',
    columns: {
      id: 'text',
      webhook_id: 'text',
      account_id: 'text',
      type: 'text',
      body: 'text',
      state: 'text',
      attempts: 'int',
      due_at_ms: 'int',
      outcome: 'text?',
      created_at_ms: 'int',
      ended_at_ms: 'int?',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['webhook_id', 'created_at_ms', 'id'],
      ['state', 'due_at_ms', 'id'],
    ],
  },
  silent_devices: {
    key: 'device_id',
    columns: { device_id: 'text', account_id: 'text', heard_at_ms: 'int', version: 'int' },
    unique: [],
    indexes: [],
  },
};
