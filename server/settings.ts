import { resolve } from 'node:path';
import {
  FILE_BYTES_MAX,
  INLINE_BODY_BYTES_MAX,
  UPLOAD_TTL_SECONDS,
  UPLOAD_WINDOW_SECONDS,
  UPLOADS_IN_FLIGHT_MAX,
  UPLOADS_PER_WINDOW,
} from '#sdk/protocol';
import { type BlobSettings, type MetadataSettings, readBlobs, readMetadata } from './store-settings.ts';

/** Everything FUSELINK_* says, checked. */
export interface ServerSettings {
  dataFolder: string;
  host: string;
  port: number;
  publicUrl: string | null;
  metadata: MetadataSettings;
  blobs: BlobSettings;
  tls: { certFile: string; keyFile: string } | null;
  trustProxy: boolean;
  /** The keyring's file; null where FUSELINK_SECRET itself holds it. */
  secretFile: string;
  secret: string | null;
  fileBytesMax: number;
  uploadsPerWindow: number;
  uploadsInFlightMax: number;
  inlineBodyBytesMax: number;
  idleTimeoutMs: number;
  lingerMs: number;
  graceMs: number;
  resumableTtlMs: number;
  dialectPasswordLogin: boolean;
  webhooksAllowPrivate: boolean;
  deviceSilentMs: number;
  metricsToken: string | null;
  logLevel: 'info' | 'warn';
}

interface SettingDoc {
  name: string;
  fallback: string;
  what: string;
}

/** Every setting, for `--help`, the README and the check that no FUSELINK_ name is misspelt. */
export const SETTINGS: readonly SettingDoc[] = [
  { name: 'FUSELINK_DATA', fallback: './data', what: 'folder of the database and the sealed files' },
  { name: 'FUSELINK_HOST', fallback: '127.0.0.1', what: 'address to listen on' },
  { name: 'FUSELINK_PORT', fallback: '8787', what: 'port to listen on (0: a free one)' },
  {
    name: 'FUSELINK_PUBLIC_URL',
    fallback: 'as the request says',
    what: 'what links begin with, e.g. https://files.example.com',
  },
  {
    name: 'FUSELINK_METADATA',
    fallback: 'sqlite:',
    what: 'sqlite: (in the data folder), sqlite:/path/file.db, memory:, or postgres://user:password@host/database for one node or several',
  },
  {
    name: 'FUSELINK_BLOBS',
    fallback: 'disk:',
    what: 'disk: (in the data folder), disk:/path, memory:[bytes], or s3://bucket[/prefix]?endpoint=https://host[&region=…][&addressing=host]',
  },
  { name: 'FUSELINK_S3_KEY_ID', fallback: '', what: 'access key id for s3://' },
  { name: 'FUSELINK_S3_SECRET', fallback: '', what: 'secret access key for s3://' },
  { name: 'FUSELINK_TLS_CERT', fallback: '', what: 'certificate file (PEM); with FUSELINK_TLS_KEY' },
  { name: 'FUSELINK_TLS_KEY', fallback: '', what: 'key file (PEM)' },
  {
    name: 'FUSELINK_TRUST_PROXY',
    fallback: 'false',
    what: 'true behind a reverse proxy: believe X-Forwarded-*, and prove delivery by ack only',
  },
  { name: 'FUSELINK_SECRET', fallback: '', what: 'the keyring itself (JSON), instead of a file' },
  { name: 'FUSELINK_SECRET_FILE', fallback: '<FUSELINK_DATA>.secret', what: 'the keyring, made on first start, 0600' },
  { name: 'FUSELINK_FILE_BYTES_MAX', fallback: String(FILE_BYTES_MAX), what: 'largest file, at most 5 GiB' },
  {
    name: 'FUSELINK_UPLOADS_PER_MINUTE',
    fallback: String(UPLOADS_PER_WINDOW),
    what: 'uploads a minute for each device',
  },
  {
    name: 'FUSELINK_UPLOADS_IN_FLIGHT',
    fallback: String(UPLOADS_IN_FLIGHT_MAX),
    what: 'uploads of one device at the same time',
  },
  { name: 'FUSELINK_IDLE_SECONDS', fallback: '60', what: 'seconds of silence after which a connection is closed' },
  {
    name: 'FUSELINK_LINGER_SECONDS',
    fallback: '5',
    what: 'seconds a finished download waits for the client to close first',
  },
  {
    name: 'FUSELINK_GRACE_SECONDS',
    fallback: '600',
    what: 'behind a proxy: seconds a complete, unacknowledged read waits before it burns',
  },
  {
    name: 'FUSELINK_UPLOAD_TTL_SECONDS',
    fallback: String(UPLOAD_TTL_SECONDS),
    what: 'seconds an unfinished resumable upload is kept',
  },
  {
    name: 'FUSELINK_METRICS_TOKEN',
    fallback: '',
    what: 'Bearer token for /metrics, 16 characters or more; without one only this machine itself may read it',
  },
  {
    name: 'FUSELINK_WEBHOOKS_ALLOW_PRIVATE',
    fallback: 'false',
    what: 'true: webhooks may be http:// and in private networks',
  },
  {
    name: 'FUSELINK_DEVICE_SILENT_SECONDS',
    fallback: '86400',
    what: 'a device not heard for this long is told of as silent (audit, events, webhooks); 0: never',
  },
  { name: 'FUSELINK_LOG', fallback: 'warn', what: 'warn, or info for a line a request' },
  {
    name: 'FUSELINK_DIALECT_PASSWORD_LOGIN',
    fallback: 'false',
    what: "true: CloudTower's login works without a second factor until one is set up; it may upload, list and create keys",
  },
];

/** Settings that were not acceptable: every one of them, each with what was expected and what came. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** Reads and checks the environment. Throws SettingsError; an unknown FUSELINK_ name is an error, too. */
export function readSettings(env: Record<string, string | undefined>): ServerSettings {
  const problems: string[] = [];
  const known = new Set(SETTINGS.map((setting) => setting.name));
  for (const name of Object.keys(env)) {
    if (name.startsWith('FUSELINK_') && !known.has(name) && !CLIENT_SETTINGS.includes(name))
      problems.push(`${name}: expected a known setting, got this one`);
  }
  const text = (name: string) => env[name]?.trim() ?? '';
  const said = (name: string) => text(name) || (SETTINGS.find((setting) => setting.name === name)?.fallback ?? '');
  function whole(name: string, min: number, max: number): number {
    const value = /^\d{1,15}$/.test(said(name)) ? Number(said(name)) : Number.NaN;
    if (value >= min && value <= max) return value;
    problems.push(`${name}: expected a whole number from ${min} to ${max}, got "${said(name)}"`);
    return min;
  }

  const dataFolder = resolve(said('FUSELINK_DATA'));
  const settings: ServerSettings = {
    dataFolder,
    host: said('FUSELINK_HOST'),
    port: whole('FUSELINK_PORT', 0, 65_535),
    publicUrl: publicUrl(text('FUSELINK_PUBLIC_URL'), problems),
    metadata: readMetadata(said('FUSELINK_METADATA'), dataFolder, problems),
    blobs: readBlobs(
      said('FUSELINK_BLOBS'),
      { dataFolder, keyId: text('FUSELINK_S3_KEY_ID'), secret: text('FUSELINK_S3_SECRET') },
      problems,
    ),
    tls: tls(text('FUSELINK_TLS_CERT'), text('FUSELINK_TLS_KEY'), problems),
    trustProxy: flag('FUSELINK_TRUST_PROXY', said('FUSELINK_TRUST_PROXY'), problems),
    secret: text('FUSELINK_SECRET') || null,
    secretFile: text('FUSELINK_SECRET_FILE') ? resolve(text('FUSELINK_SECRET_FILE')) : `${dataFolder}.secret`,
    fileBytesMax: whole('FUSELINK_FILE_BYTES_MAX', 1, FILE_BYTES_MAX),
    uploadsPerWindow: whole('FUSELINK_UPLOADS_PER_MINUTE', 1, 1_000_000),
    uploadsInFlightMax: whole('FUSELINK_UPLOADS_IN_FLIGHT', 1, 10_000),
    inlineBodyBytesMax: INLINE_BODY_BYTES_MAX,
    idleTimeoutMs: whole('FUSELINK_IDLE_SECONDS', 1, 86_400) * 1000,
    lingerMs: whole('FUSELINK_LINGER_SECONDS', 1, 60) * 1000,
    graceMs: whole('FUSELINK_GRACE_SECONDS', 1, 604_800) * 1000,
    resumableTtlMs: whole('FUSELINK_UPLOAD_TTL_SECONDS', 60, 31_536_000) * 1000,
    dialectPasswordLogin: flag('FUSELINK_DIALECT_PASSWORD_LOGIN', said('FUSELINK_DIALECT_PASSWORD_LOGIN'), problems),
    webhooksAllowPrivate: flag('FUSELINK_WEBHOOKS_ALLOW_PRIVATE', said('FUSELINK_WEBHOOKS_ALLOW_PRIVATE'), problems),
    deviceSilentMs: whole('FUSELINK_DEVICE_SILENT_SECONDS', 0, 31_536_000) * 1000,
    metricsToken: metricsToken(text('FUSELINK_METRICS_TOKEN'), problems),
    logLevel: logLevel(said('FUSELINK_LOG'), problems),
  };
  if (settings.metadata.kind === 'postgres' && settings.blobs.kind === 'memory')
    problems.push(
      'FUSELINK_BLOBS: expected s3: or disk: beside postgres:, got memory: (other nodes and the next start would miss the bytes)',
    );
  // Bodies of every size stay in memory then; only metadata is written.
  if (settings.blobs.kind === 'memory') settings.inlineBodyBytesMax = 0;
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  return settings;
}

/** The upload window is what the RateLimit headers promise; it is not for changing. */
export const UPLOAD_WINDOW_MS = UPLOAD_WINDOW_SECONDS * 1000;

/** Names that the device's own programs read, and that may well stand in the same environment. */
const CLIENT_SETTINGS = [
  'FUSELINK_KEY',
  'FUSELINK_KEY_FILE',
  'FUSELINK_URL',
  'FUSELINK_STORE',
  'FUSELINK_STATE',
  'FUSELINK_CA',
  'FUSELINK_PROXY',
  'FUSELINK_DEVICE',
  'FUSELINK_CREDENTIALS',
  'FUSELINK_PASSPHRASE_FILE',
  'FUSELINK_MANAGEMENT_KEY',
  'FUSELINK_MANAGEMENT_KEY_FILE',
  'FUSELINK_EMAIL',
  'FUSELINK_TOTP',
  'FUSELINK_TOTP_FILE',
];

function publicUrl(text: string, problems: string[]): string | null {
  if (text === '') return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '')
    return text.replace(/\/+$/, '');
  problems.push(`FUSELINK_PUBLIC_URL: expected http(s)://host[:port][/path], got "${text}"`);
  return null;
}

function metricsToken(text: string, problems: string[]): string | null {
  if (text !== '' && text.length < 16)
    problems.push(`FUSELINK_METRICS_TOKEN: expected 16 characters or more, got ${text.length}`);
  return text || null;
}

function logLevel(text: string, problems: string[]): ServerSettings['logLevel'] {
  if (text !== 'info' && text !== 'warn') problems.push(`FUSELINK_LOG: expected warn or info, got "${text}"`);
  return text === 'info' ? 'info' : 'warn';
}

function tls(certFile: string, keyFile: string, problems: string[]): ServerSettings['tls'] {
  if ((certFile === '') !== (keyFile === ''))
    problems.push('FUSELINK_TLS_CERT and FUSELINK_TLS_KEY: expected both or neither, got one');
  return certFile === '' || keyFile === '' ? null : { certFile: resolve(certFile), keyFile: resolve(keyFile) };
}

function flag(name: string, text: string, problems: string[]): boolean {
  const value = text.toLowerCase();
  if (['true', '1', 'yes'].includes(value)) return true;
  if (!['false', '0', 'no', ''].includes(value)) problems.push(`${name}: expected true or false, got "${text}"`);
  return false;
}
