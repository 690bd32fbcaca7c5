/** JSON Schemas of the native API's answers, as OpenAPI components. Kept equal to sdk/protocol/messages.ts by a test. */
const text = { type: 'string' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const orNull = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });
const whole = { type: 'integer', minimum: 0 } as const;
const flag = { type: 'boolean' } as const;
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;

function object(properties: Record<string, object>, optional: readonly string[] = []): object {
  return { type: 'object', properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

const role = { enum: ['owner', 'operator', 'auditor'] } as const;

const userProperties = {
  id: text,
  email: text,
  role,
  second_factor: { enum: ['pending', 'enrolled'] },
  created_at: time,
  last_sign_in_at: orNull(time),
};

const authenticator = { totp_uri: text, recovery_codes: { type: 'array', items: text } };

const keyState = { enum: ['active', 'pending', 'retiring', 'quarantined', 'revoked'] } as const;
const rotationState = {
  enum: ['IDLE', 'WANTED', 'MINTED', 'PROVEN', 'OVERDUE', 'QUARANTINED', 'LOST', 'GONE'],
} as const;
const rotationSource = { enum: ['self', 'offer', 'manual'] } as const;

const keyProperties = {
  id: text,
  kind: { enum: ['account', 'device', 'gateway'] },
  name: text,
  prefix: text,
  fingerprint: text,
  role,
  state: keyState,
  device_id: orNull(text),
  created_at: time,
  last_used_at: orNull(time),
  revoked_at: orNull(time),
};

const deviceProperties = {
  id: text,
  name: text,
  profile: text,
  tags: { type: 'array', items: text },
  groups: { type: 'array', items: text },
  created_at: time,
  last_seen_at: orNull(time),
};

/** sdk/protocol/fleet.ts */
const FLEET_SCHEMAS: Record<string, object> = {
  FleetDevice: object({
    ...deviceProperties,
    key: orNull(
      object({ fingerprint: text, state: keyState, generation: whole, created_at: time, last_used_at: orNull(time) }),
    ),
    rotation_state: rotationState,
    campaign_id: orNull(text),
  }),
  CampaignMember: object({
    device_id: text,
    device_name: orNull(text),
    wave: whole,
    outcome: { enum: ['waiting', 'open', 'done', 'error', 'skipped'] },
    reason: orNull(text),
    rotation_state: orNull(rotationState),
    asked_at: orNull(time),
    contacted: flag,
  }),
  CampaignSample: object({
    at: time,
    waiting: whole,
    open: whole,
    wanted: whole,
    minted: whole,
    proven: whole,
    overdue: whole,
    done: whole,
    errors: whole,
    skipped: whole,
  }),
  Session: object({
    id: text,
    user_id: text,
    email: text,
    key_id: text,
    created_at: time,
    expires_at: time,
    from: text,
    current: flag,
  }),
  Limits: object({
    uploads: whole,
    upload_window_seconds: whole,
    uploads_in_flight: whole,
    status_reports: whole,
    file_bytes_max: whole,
    ttl_seconds_min: whole,
    ttl_seconds_default: whole,
    ttl_seconds_max: whole,
    account_keys_max: whole,
    account_users_max: whole,
    session_seconds: whole,
    quota_bytes: orNull(whole),
    version: text,
  }),
};

const keyOnFile = {
  algorithm: text,
  public_key: text,
  fingerprint: digest,
  fingerprint_words: text,
  created_at: time,
  alarm: orNull(object({ since: time })),
  earlier_keys: { type: 'array', items: object({ fingerprint: digest, until: time }) },
};

const strings = { type: 'array', items: text } as const;
const list = (properties: Record<string, object>) => ({ type: 'array', items: object(properties) });
const incidentKey = { id: text, kind: text, name: text, fingerprint: text };

const INCIDENT = object({
  dry_run: flag,
  at: time,
  key: object({ ...incidentKey, state: keyState, device_id: orNull(text) }),
  action: { enum: ['quarantine', 'revoke'] },
  outcome: { enum: ['stopped', 'stopped-already', 'would-stop'] },
  seen_by: list({ who: text, this_key: flag, at: time }),
  addresses: strings,
  gateways: strings,
  devices: list({ id: text, name: text, shares: strings, state: rotationState }),
  devices_total: whole,
  keys: list(incidentKey),
  sign_ins: list({ at: time, who: text, from: text }),
  sign_ins_total: whole,
  transfers: list({ id: text, state: text, created_at: time, end_to_end: flag }),
  transfers_total: whole,
  unread_total: whole,
  read_total: whole,
  burned: whole,
  campaign_id: orNull(text),
  lines: strings,
});

export const SCHEMAS: Record<string, object> = {
  Upload: object({
    id: text,
    url: { type: 'string', format: 'uri' },
    expires_at: time,
    size: whole,
    sha256: digest,
    filename: text,
  }),
  Transfer: object({
    id: text,
    state: { enum: ['uploading', 'ready', 'claimed', 'burned', 'expired', 'revoked'] },
    size: whole,
    sha256: orNull(digest),
    filename: text,
    recipient: orNull(text),
    note: orNull(text),
    content_type: text,
    created_at: time,
    ready_at: orNull(time),
    expires_at: time,
    claimed_at: orNull(time),
    ended_at: orNull(time),
    delivered_by: orNull(text),
    attempts: whole,
    attempts_max: whole,
    bytes_served: whole,
    held: flag,
    burn: { enum: ['on-delivery', 'on-first-byte'] },
    require_claim: flag,
    sealed: flag,
    device_id: orNull(text),
    key_id: text,
    receipt_until: time,
  }),
  Claim: object({
    claim: text,
    lease_seconds: whole,
    lease_expires_at: time,
    filename: text,
    content_type: text,
    size: whole,
    sha256: digest,
    note: orNull(text),
    expires_at: time,
    sealed: flag,
  }),
  Key: object(keyProperties),
  KeyCreated: object({ ...keyProperties, key: text }),
  KeyRevoked: object({
    ...keyProperties,
    sent: { type: 'array', items: { $ref: '#/components/schemas/Transfer' } },
    sent_total: whole,
    burned: whole,
  }),
  SignIn: object({
    token: text,
    expires_at: time,
    session_id: text,
    account_id: text,
    email: text,
    role,
    recovery_codes_left: whole,
  }),
  Who: object({
    account_id: text,
    email: orNull(text),
    role,
    via: { enum: ['key', 'session', 'jwt', 'operator'] },
    key_id: text,
    device_id: orNull(text),
    may_manage: flag,
    session_id: orNull(text),
    expires_at: orNull(time),
  }),
  FirstAccount: object({
    account_id: text,
    email: text,
    api_key: text,
    setup_secret: text,
    ...authenticator,
    totp_qr_svg: text,
  }),
  Enrolment: object({ ...authenticator, totp_qr_svg: text }),
  NewAuthenticator: object({ totp_uri: text, totp_qr_svg: text }),
  Account: object({
    id: text,
    email: text,
    created_at: time,
    keys_may_manage: flag,
    require_sealed: flag,
    alarms_quarantine: flag,
    rotations_paused: flag,
  }),
  User: object(userProperties),
  UserCreated: object({ ...userProperties, ...authenticator, setup_secret: text }),
  SecondFactorReset: object({ email: text, ...authenticator, setup_secret: text }),
  AuditEntry: object({
    seq: whole,
    at: time,
    actor: text,
    action: text,
    subject: text,
    outcome: { enum: ['done', 'refused'] },
    detail: { type: 'object' },
    from: text,
    prev_hash: text,
    hash: text,
  }),
  AuditVerification: object({
    ok: flag,
    entries: whole,
    head: orNull(object({ seq: whole, hash: text })),
    broken: orNull(object({ seq: whole, reason: text })),
  }),
  Device: object(deviceProperties),
  ...FLEET_SCHEMAS,
  Recipient: object({ id: text, email: text, ...keyOnFile }),
  SigningKey: object({ device_id: text, device_name: text, ...keyOnFile }),
  DeviceSelf: object({
    device_id: text,
    name: text,
    key: object({ fingerprint: text, state: keyState }),
    rotation: object({
      state: rotationState,
      generation: whole,
      wanted: orNull(object({ generation: whole, base: text, source: rotationSource, recovery: flag })),
      settled_generation: orNull(whole),
      recoverable_generation: orNull(whole),
    }),
    limits: object({ uploads: whole, upload_window_seconds: whole, status_reports: whole, file_bytes_max: whole }),
    server_time: time,
  }),
  Registration: object({ generation: whole, fingerprint: text, state: { enum: ['registered', 'awaits-approval'] } }),
  Rotation: object(
    {
      device_id: text,
      state: rotationState,
      generation: whole,
      source: rotationSource,
      active: orNull(text),
      pending: orNull(text),
      retiring: orNull(text),
      incident: flag,
      campaign_id: orNull(text),
      deadline_at: orNull(time),
      pending_expires_at: orNull(time),
      soak_until: orNull(time),
      proposals: { type: 'array', items: object({ generation: whole, fingerprint: text }) },
      reported: orNull(object({ at: time, phase: text, boot: whole, sequence: whole })),
      limbo_since: orNull(time),
      key_held_by: orNull(text),
    },
    ['key_held_by'],
  ),
  Campaign: object({
    id: text,
    name: text,
    kind: { enum: ['keys', 'firmware'] },
    state: text,
    reason: orNull(text),
    wave: whole,
    selection: { type: 'object' },
    source: rotationSource,
    policy: { enum: ['keep', 'quarantine', 'revoke'] },
    starts_at: orNull(time),
    since: time,
    repeat_every_days: orNull(whole),
    created_at: time,
    created_by: text,
    progress: object({ waiting: whole, open: whole, contacted: whole, done: whole, errors: whole, limbo: whole }),
  }),
  Preflight: object({
    devices: whole,
    waves: { type: 'array', items: whole },
    canary: { type: 'array', items: text },
    seconds_min: whole,
    offline: { type: 'array', items: text },
    offline_total: whole,
    busy_total: whole,
    without_recovery_total: whole,
    locked_out: { type: 'array', items: text },
    locked_out_total: whole,
    within_caps: flag,
  }),
  Incident: INCIDENT,
  Story: object({
    device_id: text,
    name: text,
    now: text,
    events: { type: 'array', items: object({ at: time, seq: whole, action: text, sentence: text }) },
  }),
  Problem: object(
    {
      type: text,
      title: text,
      status: whole,
      code: text,
      detail: text,
      errors: { type: 'array', items: object({ field: text, detail: text }) },
      fingerprint: text,
    },
    ['errors', 'fingerprint'],
  ),
};

/** `{ description, content }` of a JSON answer with a component schema. */
export function jsonResponse(description: string, schema: keyof typeof SCHEMAS | object): object {
  const body = typeof schema === 'string' ? { $ref: `#/components/schemas/${schema}` } : schema;
  return { description, content: { 'application/json': { schema: body } } };
}

/** A page of a list: `{ <name>: [...], next_cursor }`. */
export function pageResponse(name: string, schema: keyof typeof SCHEMAS): object {
  return jsonResponse(
    'One page, newest first',
    object({ [name]: { type: 'array', items: { $ref: `#/components/schemas/${schema}` } }, next_cursor: orNull(text) }),
  );
}

export const PAGE_PARAMETERS: object[] = [
  { name: 'cursor', in: 'query', description: 'next_cursor of the last page', schema: text },
  {
    name: 'limit',
    in: 'query',
    description: 'Rows a page',
    schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
  },
];

/** A JSON request body. */
export function jsonRequest(properties: Record<string, object>, required: readonly string[]): object {
  return {
    required: required.length > 0,
    content: { 'application/json': { schema: { type: 'object', properties, required, additionalProperties: false } } },
  };
}
