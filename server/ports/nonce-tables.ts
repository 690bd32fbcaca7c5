import type { TableShape } from './table-shape.ts';

/** A nonce of a signed request that was used: here until it has expired, so that no node takes it twice. */
export interface UsedNonceRow {
  /** base64url(SHA-256(nonce)). */
  id: string;
  expires_at_ms: number;
  version: number;
}

export interface NonceTables {
  used_nonces: UsedNonceRow;
}

export const NONCE_TABLES: { readonly [T in keyof NonceTables]: TableShape<NonceTables[T]> } = {
  used_nonces: {
    key: 'id',
    columns: { id: 'text', expires_at_ms: 'int', version: 'int' },
    unique: [],
    indexes: [['expires_at_ms', 'id']],
  },
};
