import { createHash, randomBytes } from 'node:crypto';
import type { CampaignAnswer } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { type Called, type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import type { Caller } from '../caller.ts';
import { enrolDevice } from '../device/enrol-device.ts';
import { lookAtRotation } from '../rotation/operate.ts';
import { sweepOnce } from '../sweep.ts';
import { type CampaignVerb, createCampaign, lookAtCampaign, type NewCampaign, orderCampaign } from './manage.ts';

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
export const RULES = {
  canary: 2,
  growth: 3,
  soakMs: MINUTE_MS,
  sampleMin: 2,
  errorsPercentMax: 20,
};

/** A device that does as it is told, as far as it can. */
export class Device {
  readonly id: DeviceId;
  readonly name: string;
  key: string;
  staged: string | null = null;
  readonly #kit: Kit;

  constructor(kit: Kit, id: DeviceId, name: string, key: string) {
    this.#kit = kit;
    this.id = id;
    this.name = name;
    this.key = key;
  }

  upload(key: string, position?: string): Promise<Called> {
    const headers = {
      'x-filename': 'r',
      ...(position === undefined ? {} : { 'fuselink-device': position }),
    };
    return this.#kit.call('POST', '/v1/upload', {
      apiKey: key,
      body: 'x',
      headers,
    });
  }

  /** One upload; what it is told is done at once. */
  async round(): Promise<Called> {
    const answer = await this.upload(this.staged ?? this.key);
    const told = answer.headers.get('fuselink-rotation') ?? '';
    if (answer.status === 201 && this.staged !== null) {
      this.key = this.staged;
      this.staged = null;
    }
    const wanted = /wanted;gen=(\d+)/.exec(told);
    if (wanted !== null && this.staged === null) return this.stage(Number(wanted[1]));
    return answer;
  }

  async stage(generation: number): Promise<Called> {
    const bytes = randomBytes(32);
    const fingerprint = createHash('sha256').update('fuselink fp').update(bytes).digest('hex').slice(0, 16);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const json = { generation, fingerprint, sha256 };
    const answer = await this.#kit.call('POST', '/v1/device/rotation', {
      apiKey: this.key,
      json,
    });
    if (answer.status === 200) this.staged = bytes.toString('hex');
    return answer;
  }
}

/** A server with one account, a fleet, and campaigns, in a time that the test moves. */
export class Yard {
  readonly kit: Kit;
  readonly account: TestAccount;
  readonly operator: Caller;

  constructor(kit: Kit, account: TestAccount) {
    this.kit = kit;
    this.account = account;
    this.operator = operatorOf(account.accountId, account.row);
  }

  get deps() {
    return this.kit.server.deps;
  }

  async fleet(count: number, profile = 'pi'): Promise<Device[]> {
    const devices: Device[] = [];
    for (let i = 0; i < count; i++) {
      const name = `${profile} ${i}`;
      const made = await enrolDevice(this.deps, this.operator, {
        name,
        profile,
        tags: [profile],
      });
      devices.push(new Device(this.kit, made.device.id as DeviceId, name, made.key));
    }
    return devices;
  }

  campaign(over: Partial<NewCampaign> = {}): Promise<CampaignAnswer> {
    const what = {
      name: 'all',
      selection: {},
      rules: RULES,
      plan: { soakMs: 0 },
      ...over,
    };
    return createCampaign(this.deps, this.operator, what);
  }

  order(id: string, verb: CampaignVerb, more: { reason?: string; startAtMs?: number } = {}) {
    return orderCampaign(this.deps, this.operator, id, { verb, ...more });
  }

  look(id: string): Promise<CampaignAnswer> {
    return lookAtCampaign(this.deps, this.operator, id);
  }

  async tick(ms = MINUTE_MS): Promise<void> {
    this.kit.advance(ms);
    await sweepOnce(this.deps, { atStart: false });
  }

  async stateOf({ id }: Device): Promise<string> {
    return (await lookAtRotation(this.deps, this.operator, id)).state;
  }

  async until(id: string, devices: readonly Device[], done: (now: CampaignAnswer) => boolean): Promise<CampaignAnswer> {
    for (let i = 0; i < 60; i++) {
      await this.tick();
      const now = await this.look(id);
      if (done(now)) return now;
      for (const device of devices) await device.round();
    }
    throw new Error(`the campaign did not get there: ${JSON.stringify(await this.look(id))}`);
  }
}

export async function startYard(env: Record<string, string> = {}): Promise<Yard> {
  const kit = await startKit(env);
  return new Yard(kit, await kit.account());
}
