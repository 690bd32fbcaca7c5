import type { DeviceWatch, OrderSeen } from './watch.ts';

/** Where the account's campaign stands, as its operators were told. */
export type CampaignSeen = 'none' | 'running' | 'paused' | 'aborted' | 'rolling-back';

/** How an order ended: `unknown` where no answer came, so that it may have been carried out. */
export type OrderEnd = 'done' | 'refused' | 'unknown';

const AFTER: Readonly<Record<string, CampaignSeen>> = {
  start: 'running',
  resume: 'running',
  pause: 'paused',
  abort: 'aborted',
  'roll-back': 'rolling-back',
};

/** What operators ordered, to single devices and to the campaign. An order may have its effect from when it is given. */
export class Orders {
  readonly #now: () => number;
  /** A campaign that rolls back or aborts moves keys of any device. */
  readonly ofCampaign: OrderSeen[] = [];
  campaign: CampaignSeen = 'none';
  campaignSince = 0;
  /** A campaign was asked to revoke the keys of whoever misses its deadline. */
  policyRevokes = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** An order to the campaign; the result is to be called with what came of it. */
  giveCampaign(verb: string): (end: OrderEnd) => void {
    const order = given(this.ofCampaign, verb, this.#now());
    const before = this.campaign;
    // It goes on from now on, for all that anybody can tell; it stands still only when that was said.
    const goesOn = AFTER[verb] === 'running';
    if (goesOn) this.campaign = 'running';
    return (end) => {
      if (end === 'refused') {
        order.takeBack();
        if (goesOn && this.campaign === 'running') this.campaign = before;
      }
      if (end !== 'done') return;
      order.seen.at = this.#now();
      this.campaign = AFTER[verb] ?? this.campaign;
      this.campaignSince = order.seen.at;
    };
  }

  /** An order to one device, of which there may be copies. */
  giveDevices(watches: readonly DeviceWatch[], verb: string): (end: OrderEnd) => void {
    const orders = watches.map((watch) => given(watch.orders, verb, this.#now()));
    return (end) => {
      for (const order of orders) {
        if (end === 'refused') order.takeBack();
        else order.seen.at = this.#now();
      }
      if (end === 'refused') return;
      for (const watch of watches) {
        if (verb === 'quarantine') watch.quarantined = true;
        if (verb === 'release' && end === 'done') watch.quarantined = false;
        if (verb === 'remove' && end === 'done') watch.gone = true;
        if (verb === 'lose') watch.excuses.add('revoked-by-operator');
      }
    };
  }
}

function given(orders: OrderSeen[], verb: string, at: number): { seen: OrderSeen; takeBack(): void } {
  const seen = { verb, at };
  orders.push(seen);
  return { seen, takeBack: () => void orders.splice(orders.indexOf(seen), 1) };
}
