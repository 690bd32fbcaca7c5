import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { TopicMapping } from '../broker/topic-mapping.ts';
import { isChannel, isDeviceId } from '../broker/topics.ts';
import { FILE_LIMITS, type FileLimits } from '../files/file-limits.ts';
import { BRIDGE_LIMITS, type BridgeLimits } from '../limits.ts';
import type { PlcConfig } from '../plc/held-keys.ts';
import type { LineSettings } from '../uplink/device-line.ts';
import { LINE_SETTINGS } from '../uplink/uplink.ts';

export interface BridgeConfig {
  server: string;
  /** File with the gateway's key: a key does not belong into a configuration. */
  gatewayKeyFile: string;
  caFile: string | null;
  data: string;
  linksFile: string;
  listen: string[];
  tls: { cert: string; key: string } | null;
  broker: {
    url: string;
    username: string | null;
    passwordFile: string | null;
    clientId: string;
    version: 4 | 5;
    topics: TopicMapping[];
  } | null;
  /** `host:port` of health and metrics; null: none. */
  http: string | null;
  recipient: string | null;
  ttlSeconds: number;
  limits: BridgeLimits;
  /** Devices whose keys this gateway holds. */
  plcs: PlcConfig[];
  files: FileLimits;
  /** Public keys whose images are passed on; null: those the server vouches for. */
  firmwareKeys: string[] | null;
  uplink: LineSettings;
}

/** What is wrong with a configuration, all of it at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

const text = { type: 'string', minLength: 1 } as const;
const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum }) as const;
const object = (properties: Record<string, object>, required: readonly string[] = []) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;

/** JSON Schema (2020-12) of the configuration file; `fuselink-bridge --schema` prints it, and `--check` uses it. */
export const CONFIG_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'fuselink-bridge configuration',
  ...object(
    {
      $schema: text,
      server: { ...text, description: 'Address of the Fuselink server, https://relay.example.com' },
      gateway_key_file: { ...text, description: 'File with the key that `fuselink-server gateway add` printed (0600)' },
      ca_file: { ...text, description: 'PEM certificates to trust beside the system’s' },
      data: { ...text, description: 'Folder of spools and the key cache' },
      links_file: { ...text, description: 'Where the links of sent batches are appended; default <data>/links.jsonl' },
      listen: { type: 'array', items: text, description: 'mqtt://, mqtts://, ws://, wss:// with host and port' },
      tls: object({ cert: text, key: text }, ['cert', 'key']),
      broker: object(
        {
          url: text,
          username: text,
          password_file: text,
          client_id: text,
          version: { enum: [4, 5] },
          topics: {
            type: 'array',
            minItems: 1,
            items: object({ filter: text, device: text, channel: text }, ['filter', 'device', 'channel']),
          },
        },
        ['url', 'topics'],
      ),
      http: { ...text, description: 'host:port of /healthz and /metrics' },
      recipient: text,
      ttl_seconds: whole(60, 604_800),
      limits: object(Object.fromEntries(Object.keys(BRIDGE_LIMITS).map((name) => [snake(name), whole(1, 2 ** 31)]))),
      plcs: {
        type: 'array',
        items: object({ device: text, key_file: text, password_file: text }, ['device', 'key_file']),
        description: 'Devices that cannot hold a key: the gateway holds and rotates one for each',
      },
      firmware_keys: {
        type: 'array',
        minItems: 1,
        items: text,
        description: 'Public keys of images, 64 hex characters',
      },
      files: object(
        Object.fromEntries(Object.keys(FILE_LIMITS).map((name) => [snake(name), whole(1, Number.MAX_SAFE_INTEGER)])),
      ),
      uplink: object({
        ...Object.fromEntries(
          Object.entries(LINE_SETTINGS)
            .filter(([, value]) => typeof value === 'number')
            .map(([name]) => [snake(name), whole(1, Number.MAX_SAFE_INTEGER)]),
        ),
        when_full: { enum: ['block', 'drop-oldest'] },
      }),
    },
    ['server', 'gateway_key_file', 'data'],
  ),
};

interface Schema {
  type?: string;
  enum?: readonly unknown[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  minItems?: number;
}

/** The problems of a value, each with where it stands, what was expected and what came. */
export function schemaProblems(value: unknown, schema: Schema, at = ''): string[] {
  const here = at === '' ? 'configuration' : at;
  const came = Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value;
  if (schema.enum !== undefined) {
    return schema.enum.includes(value)
      ? []
      : [`${here}: expected one of ${schema.enum.join(', ')}, got ${came === 'string' ? `"${value}"` : came}`];
  }
  if (schema.type === 'string') {
    return typeof value === 'string' && value.length >= (schema.minLength ?? 0)
      ? []
      : [`${here}: expected a text, got ${value === '' ? 'an empty one' : came}`];
  }
  if (schema.type === 'integer') {
    const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
    const fits = Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
    return fits
      ? []
      : [`${here}: expected a whole number from ${minimum} to ${maximum}, got ${came === 'number' ? value : came}`];
  }
  if (schema.type === 'array') {
    if (!Array.isArray(value)) return [`${here}: expected an array, got ${came}`];
    if (value.length < (schema.minItems ?? 0))
      return [`${here}: expected at least ${schema.minItems}, got ${value.length}`];
    return value.flatMap((item, i) => schemaProblems(item, schema.items ?? {}, `${at}[${i}]`));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [`${here}: expected an object, got ${came}`];
  const properties = schema.properties ?? {};
  const place = (name: string) => (at === '' ? name : `${at}.${name}`);
  return [
    ...(schema.required ?? [])
      .filter((name) => !Object.hasOwn(value, name))
      .map((name) => `${place(name)}: expected, and there is none`),
    ...Object.entries(value).flatMap(([name, inner]) => {
      const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (known === undefined)
        return [`${place(name)}: expected one of ${Object.keys(properties).join(', ')}, got an unknown name`];
      return schemaProblems(inner, known, place(name));
    }),
  ];
}

/** The configuration in a file; paths in it are relative to it. Throws ConfigError. */
export function readConfig(
  path: string,
  overrides: { listen?: string[] | undefined; broker?: string | undefined } = {},
): BridgeConfig {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'it is not JSON';
    throw new ConfigError([`${path}: expected a configuration in JSON, got none (${why})`]);
  }
  const problems = schemaProblems(value, CONFIG_SCHEMA as Schema);
  if (problems.length > 0) throw new ConfigError(problems);
  return checked(value as Raw, dirname(resolve(path)), overrides);
}

interface Raw {
  server: string;
  gateway_key_file: string;
  ca_file?: string;
  data: string;
  links_file?: string;
  listen?: string[];
  tls?: { cert: string; key: string };
  broker?: {
    url: string;
    username?: string;
    password_file?: string;
    client_id?: string;
    version?: 4 | 5;
    topics: TopicMapping[];
  };
  http?: string;
  recipient?: string;
  ttl_seconds?: number;
  limits?: Record<string, number>;
  files?: Record<string, number>;
  firmware_keys?: string[];
  plcs?: { device: string; key_file: string; password_file?: string }[];
  uplink?: Record<string, number | string>;
}

function checked(
  raw: Raw,
  folder: string,
  overrides: { listen?: string[] | undefined; broker?: string | undefined },
): BridgeConfig {
  const at = (path: string) => resolve(folder, path);
  const problems: string[] = [];
  const listen = overrides.listen ?? raw.listen ?? [];
  if (overrides.broker !== undefined && raw.broker === undefined)
    problems.push('--broker: the topics come from "broker" of the configuration, and there is none');
  if (listen.length === 0 && raw.broker === undefined)
    problems.push('expected "listen" (an own broker) or "broker" (an existing one), got neither');
  for (const [i, mapping] of (raw.broker?.topics ?? []).entries()) {
    if (!isDeviceId(mapping.device.replace(/\{[1-9#]\}/g, 'x')))
      problems.push(`broker.topics[${i}].device: expected a device id with {1}… in it`);
    if (!isChannel(mapping.channel.replace(/\{[1-9#]\}/g, 'x')))
      problems.push(`broker.topics[${i}].channel: expected a channel with {1}… in it`);
  }
  for (const [i, { device }] of (raw.plcs ?? []).entries()) {
    if (!isDeviceId(device)) problems.push(`plcs[${i}].device: expected a device id, got another text`);
  }
  for (const [i, key] of (raw.firmware_keys ?? []).entries()) {
    if (!/^[0-9a-f]{64}$/.test(key))
      problems.push(`firmware_keys[${i}]: expected 64 hex characters, got ${key.length} others`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const data = at(raw.data);
  const { broker } = raw;
  return {
    server: raw.server,
    gatewayKeyFile: at(raw.gateway_key_file),
    caFile: raw.ca_file === undefined ? null : at(raw.ca_file),
    data,
    linksFile: raw.links_file === undefined ? resolve(data, 'links.jsonl') : at(raw.links_file),
    listen,
    tls: raw.tls === undefined ? null : { cert: at(raw.tls.cert), key: at(raw.tls.key) },
    broker:
      broker === undefined
        ? null
        : {
            url: overrides.broker ?? broker.url,
            username: broker.username ?? null,
            passwordFile: broker.password_file === undefined ? null : at(broker.password_file),
            clientId: broker.client_id ?? 'fuselink-bridge',
            version: broker.version ?? 4,
            topics: broker.topics,
          },
    http: raw.http ?? null,
    recipient: raw.recipient ?? null,
    ttlSeconds: raw.ttl_seconds ?? 604_800,
    limits: { ...BRIDGE_LIMITS, ...camelNames(raw.limits) } as BridgeLimits,
    plcs: (raw.plcs ?? []).map(({ device, key_file, password_file }) => ({
      device,
      keyFile: at(key_file),
      passwordFile: password_file === undefined ? null : at(password_file),
    })),
    firmwareKeys: raw.firmware_keys ?? null,
    files: { ...FILE_LIMITS, ...camelNames(raw.files) } as FileLimits,
    uplink: { ...LINE_SETTINGS, ...camelNames(raw.uplink) } as LineSettings,
  };
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelNames(values: Record<string, unknown> = {}): Record<string, unknown> {
  const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [camel(name), value]));
}
