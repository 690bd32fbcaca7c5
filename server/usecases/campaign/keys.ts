import type { RotationPlan } from '../../domain/rotation/index.ts';
import type { CampaignMemberRow, CampaignRecordRow, RotationRecordRow } from '../../ports/tables.ts';
import { decideRotation } from '../rotation/decide.ts';
import { gateOf } from '../rotation/gate.ts';
import { OLD_CONTACTS_MAX_DEFAULT } from '../rotation/operate.ts';
import { loadRotation } from '../rotation/record.ts';
import type { Found, RollOut } from './roll-out.ts';

const AUTHOR = { actor: 'campaign', from: 'local' };

function planFor(record: CampaignRecordRow, nowMs: number): RotationPlan {
  const { source, policy, deadline_ms, soak_ms, pending_ttl_ms } = record.plan;
  return {
    source,
    campaignId: record.id,
    policy,
    deadlineAtMs: deadline_ms === null ? null : nowMs + deadline_ms,
    soakMs: soak_ms,
    pendingTtlMs: pending_ttl_ms,
    oldContactsMax: OLD_CONTACTS_MAX_DEFAULT,
  };
}

/** Rotations of keys, as what a campaign brings to its devices. */
export const KEY_ROLL_OUT: RollOut = {
  // A key that is proven is the device's only one that is sure to work.
  undoesEnded: false,

  async ask(deps, { record, device }) {
    const loaded = await loadRotation(deps, {
      id: device.id,
      accountId: device.account_id,
    });
    const select = {
      kind: 'select',
      plan: planFor(record, deps.clock.nowMs()),
    } as const;
    const decision = await decideRotation(deps, loaded, select, {
      author: AUTHOR,
    });
    if (decision.outcome.kind !== 'moved') {
      return {
        kind: 'skipped',
        reason: `its rotation is ${loaded.record.state}`,
      };
    }
    const gate = await gateOf(deps, decision.record);
    if (gate.paused) return { kind: 'later' };
    return {
      kind: 'asked',
      writes: [...gate.writes, ...decision.writes],
      base: loaded.record.rotation.generation,
    };
  },

  async look(deps, { record, member, device }) {
    const { record: rotation } = await loadRotation(deps, {
      id: device.id,
      accountId: device.account_id,
    });
    const askedAtMs = member.asked_at_ms ?? 0;
    const seenAtMs = Math.max(device.last_seen_at_ms ?? 0, rotation.heard_at_ms ?? 0);
    const silentAtMs = rotation.state === 'PROVEN' ? seenAtMs + record.campaign.rules.silenceMs : null;
    return {
      contacted: member.contacted || seenAtMs >= askedAtMs,
      limbo: (rotation.limbo_at_ms ?? -1) >= askedAtMs,
      end: endOf(rotation, member, silentAtMs !== null && silentAtMs <= deps.clock.nowMs()),
      againAtMs: silentAtMs,
    };
  },

  async takeBack(deps, { device }, order) {
    const loaded = await loadRotation(deps, {
      id: device.id,
      accountId: device.account_id,
    });
    const { outcome, writes } = await decideRotation(deps, loaded, { kind: order }, { author: AUTHOR });
    // What is proven settles by itself after an abort; it is the device's key now, and no error.
    if (outcome.kind !== 'moved') return { writes, reason: loaded.record.state };
    return { writes, reason: order === 'abort' ? 'aborted' : 'rolled back' };
  },

  async readiness(deps, device) {
    const { record } = await loadRotation(deps, {
      id: device.id,
      accountId: device.account_id,
    });
    return {
      busy: record.state !== 'IDLE',
      recoverable: record.sealed_recovery !== null,
    };
  },
};

/** What the rotation of a device that was asked has come to; null while that is open. */
function endOf({ rotation }: RotationRecordRow, member: CampaignMemberRow, silent: boolean): Found['end'] {
  switch (rotation.state) {
    case 'IDLE': {
      const settled = rotation.settledGeneration !== null && rotation.settledGeneration > member.base_generation;
      return settled ? { outcome: 'done', reason: null } : { outcome: 'error', reason: 'fell back to its old key' };
    }
    case 'PROVEN':
      return silent ? { outcome: 'error', reason: 'silent after the proof' } : null;
    case 'QUARANTINED':
      return { outcome: 'error', reason: 'quarantined' };
    case 'LOST':
      return { outcome: 'error', reason: 'lost' };
    case 'GONE':
      return { outcome: 'skipped', reason: 'removed' };
    default:
      return rotation.campaignId === member.campaign_id
        ? null
        : { outcome: 'error', reason: 'another rotation took over' };
  }
}
