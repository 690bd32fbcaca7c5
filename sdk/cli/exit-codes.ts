import { FuselinkError } from '#sdk/node';

/** What the program's exit status means. Scripts rely on these numbers; `--help` prints them. */
export const EXIT = {
  ok: { code: 0, meaning: 'done' },
  failed: { code: 1, meaning: 'failed on this machine: a file, the disk, a wrong digest' },
  usage: { code: 2, meaning: 'the command line or the settings are wrong' },
  refused: { code: 3, meaning: 'refused by the server: the key, the size, the room' },
  gone: { code: 4, meaning: 'the link is unknown, expired, revoked, or was read already' },
  notNow: { code: 5, meaning: 'not now: the server cannot be reached or is busy; the same command goes on' },
  interrupted: { code: 130, meaning: 'stopped by a signal; the same command goes on' },
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]['code'];

const GONE = ['link_unknown', 'link_expired', 'link_burned', 'link_revoked', 'upload_gone', 'idempotency_gone'];
const NOT_NOW = ['unreachable', 'connection_lost', 'silent', 'transfer_leased', 'transfer_held', 'transfer_uploading'];

/** The exit status for what went wrong. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage.code;
  if (!(error instanceof FuselinkError)) return EXIT.failed.code;
  if (error.code === 'aborted') return EXIT.interrupted.code;
  if (error.code === 'option_invalid' || error.code === 'key_missing') return EXIT.usage.code;
  if (GONE.includes(error.code)) return EXIT.gone.code;
  if (NOT_NOW.includes(error.code)) return EXIT.notNow.code;
  if (error.status === null) return error.code === 'payload_too_large' ? EXIT.refused.code : EXIT.failed.code;
  return error.status >= 500 && error.status !== 507 ? EXIT.notNow.code : EXIT.refused.code;
}

/** The command line cannot be meant. */
export class UsageError extends Error {}
