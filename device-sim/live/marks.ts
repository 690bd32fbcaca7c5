/** Every device of a run of `live` has this tag; nothing without it is ever touched. */
export const MARK = 'fuselink-sim';

/** How the things of one run are named, so that a later one finds what a crash left. */
export interface RunMarks {
  id: string;
  /** The tag of this run's devices, beside MARK. */
  tag: string;
  /** Those of its devices that its campaigns are over. */
  fleetTag: string;
  campaign: string;
  deviceName(number: number | string): string;
}

export function marksOf(id: string): RunMarks {
  return {
    id,
    tag: `${MARK}-run-${id}`,
    fleetTag: `${MARK}-fleet-${id}`,
    campaign: `sim ${id}`,
    deviceName: (number) => `sim-${id}-${number}`,
  };
}

/** The run that a device belongs to by its name and both its tags, or null: it is not a simulated device. */
export function runOfDevice(device: Record<string, unknown>): string | null {
  const id = /^sim-([0-9a-z]{8})-[0-9a-z]+$/.exec(String(device['name']))?.[1];
  const tags = device['tags'];
  if (id === undefined || !Array.isArray(tags)) return null;
  return tags.includes(MARK) && tags.includes(marksOf(id).tag) ? id : null;
}

/** The run that a campaign belongs to by its name, or null. */
export function runOfCampaign(campaign: Record<string, unknown>): string | null {
  return /^sim ([0-9a-z]{8})$/.exec(String(campaign['name']))?.[1] ?? null;
}
