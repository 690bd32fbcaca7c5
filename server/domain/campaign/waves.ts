/** A device as a campaign plans it. `rank` is any text that orders devices as by chance, the same each time. */
export interface Candidate {
  id: string;
  profile: string;
  /** The gateway that speaks for it; '' for a device of its own. */
  gateway: string;
  rank: string;
}

/** Waves there may be: with a growth of 2 and a canary of 1 these are two million devices. */
const WAVES_MAX = 64;

/**
 * Devices in the order they are asked: shuffled by rank, and stratified by profile and gateway, so that every wave has of
 * every kind and of every place what the fleet has, and none is left for the end.
 */
export function stratified(devices: readonly Candidate[]): Candidate[] {
  const strata = new Map<string, Candidate[]>();
  for (const device of [...devices].sort((a, b) => (a.rank < b.rank ? -1 : 1))) {
    const name = JSON.stringify([device.profile, device.gateway]);
    const stratum = strata.get(name);
    if (stratum === undefined) strata.set(name, [device]);
    else stratum.push(device);
  }
  const placed = [...strata.values()].flatMap((stratum) =>
    stratum.map((device, index) => ({ device, place: (index + 0.5) / stratum.length })),
  );
  placed.sort((a, b) => a.place - b.place || (a.device.rank < b.device.rank ? -1 : 1));
  return placed.map(({ device }) => device);
}

/** How many devices each wave has; the last takes what is left. */
export function waveSizes(devices: number, rules: { canary: number; growth: number }): number[] {
  const sizes: number[] = [];
  let left = devices;
  let size = rules.canary;
  while (left > 0) {
    const last = sizes.length === WAVES_MAX - 1;
    const now = last ? left : Math.min(left, Math.max(1, Math.floor(size)));
    sizes.push(now);
    left -= now;
    size *= rules.growth;
  }
  return sizes;
}
