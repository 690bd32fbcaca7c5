import { each } from './each.ts';
import { type Item, type Management, NotServed, said } from './management.ts';
import { MARK, type RunMarks, runOfCampaign, runOfDevice } from './marks.ts';

/** Devices that are made and removed at the same time. */
const AT_ONCE = 24;
const ENDED = ['COMPLETED', 'COMPLETED_WITH_STRAGGLERS', 'ABORTED', 'ROLLED_BACK'];

/** A device as it comes from the server: with its first key. */
export interface Enrolled {
  id: string;
  name: string;
  key: string;
  recoverySecret: string;
}

/** Enrols a marked device; one with a number is of the fleet. Throws NotServed where the server does not make it. */
export async function enrol(management: Management, marks: RunMarks, number: number | string): Promise<Enrolled> {
  const profile = Number(number) % 2 === 0 ? 'esp32' : 'pi';
  const tags = [MARK, marks.tag, ...(typeof number === 'number' ? [marks.fleetTag] : [])];
  for (let tries = 0; ; tries++) {
    // Whether an unanswered one was made nobody knows: it keeps its name, and goes with the others by its tags.
    const name = marks.deviceName(tries === 0 ? number : `${number}x${tries}`);
    const answer = await management.order('POST', '/v1/devices', { name, profile, tags });
    if (answer === null && tries < 3) continue;
    if (answer?.status !== 201 || answer.json === null) throw new NotServed(`enrolling a device: ${said(answer)}`);
    const { device_id: id, api_key: key, recovery_secret: secret } = answer.json;
    return { id: String(id), name, key: String(key), recoverySecret: String(secret) };
  }
}

/** Enrols `count` devices; `done` is told how many there are. Stops early where `signal` aborts. */
export async function enrolAll(
  management: Management,
  what: { marks: RunMarks; count: number; done(number: number, device: Enrolled): void; signal: AbortSignal },
): Promise<void> {
  const numbers = Array.from({ length: what.count }, (_, number) => number);
  const act = async (number: number) => what.done(number, await enrol(management, what.marks, number));
  await each(numbers, AT_ONCE, act, what.signal);
}

export interface Removed {
  devices: number;
  campaigns: number;
  /** What could not be removed, in words. */
  left: string[];
}

/**
 * Ends the campaigns and removes the devices of the runs that `isOurs` says, all keys revoked. A device without the marks
 * of a run is never touched.
 */
export async function removeRuns(management: Management, isOurs: (run: string) => boolean): Promise<Removed> {
  const removed: Removed = { devices: 0, campaigns: 0, left: [] };
  const campaigns = await management.all('/v1/campaigns', 'campaigns');
  for (const campaign of campaigns) {
    const run = runOfCampaign(campaign);
    if (run === null || !isOurs(run) || ENDED.includes(String(campaign['state']))) continue;
    const answer = await management.order('POST', `/v1/campaigns/${String(campaign['id'])}/abort`, {});
    if (answer !== null && answer.status < 300) removed.campaigns++;
    else removed.left.push(`campaign ${String(campaign['id'])}: ${said(answer)}`);
  }
  await each(await marked(management, isOurs), AT_ONCE, async ({ id, name }) => {
    const answer = await management.order('DELETE', `/v1/devices/${String(id)}`, null);
    // Gone already, where an answer was lost.
    if (answer !== null && (answer.status < 300 || answer.status === 404)) removed.devices++;
    else removed.left.push(`${String(name)} (${String(id)}): ${said(answer)}`);
  });
  return removed;
}

async function marked(management: Management, isOurs: (run: string) => boolean): Promise<Item[]> {
  const devices = await management.all(`/v1/devices?tag=${MARK}`, 'devices');
  return devices.filter((device) => {
    const run = runOfDevice(device);
    return run !== null && isOurs(run);
  });
}

/** Runs whose devices have all been silent for `silentMs`: nobody runs them any more. */
export async function silentRuns(management: Management, silentMs: number): Promise<Set<string>> {
  const heard = new Map<string, number>();
  for (const device of await management.all(`/v1/devices?tag=${MARK}`, 'devices')) {
    const run = runOfDevice(device);
    if (run === null) continue;
    const lastMs = Math.max(Date.parse(String(device['created_at'])), Date.parse(String(device['last_seen_at'])) || 0);
    heard.set(run, Math.max(heard.get(run) ?? 0, lastMs));
  }
  const sinceMs = Date.now() - silentMs;
  return new Set([...heard].flatMap(([run, lastMs]) => (lastMs < sinceMs ? [run] : [])));
}
