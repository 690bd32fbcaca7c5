import type { IncidentReport } from '#sdk/protocol';

/** Names in one sentence; the totals count all. */
const NAMES_MAX = 20;

function names(all: readonly string[]): string {
  const more = all.length - NAMES_MAX;
  return all.length === 0 ? 'none' : `${all.slice(0, NAMES_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function whatHappens({ action, outcome, key, dry_run: dryRun }: IncidentReport): string {
  if (outcome === 'stopped-already') return 'It was stopped already.';
  const deed =
    action === 'quarantine'
      ? 'quarantined: it may only report, until the device recovers or an operator approves its next key'
      : key.kind === 'device'
        ? 'revoked with every other key of the device, which has to be provisioned by hand'
        : 'revoked, with every sign-in made with it';
  return dryRun ? `It would be ${deed}.` : `It is ${deed}.`;
}

/** The report for people, one sentence a line. `owner`: the name of its device or gateway. */
export function incidentLines(report: IncidentReport, owner: string | null): string[] {
  const { key, dry_run: dryRun } = report;
  const whose = owner === null ? `"${key.name}"` : `of "${owner}"`;
  const lines = [
    `The ${key.kind} key ${key.fingerprint} ${whose} is out. ${whatHappens(report)}`,
    `It was shown to: ${names(report.seen_by.map(({ who, this_key: same }) => (same ? who : `${who} (another key of the device)`)))}.`,
    `It was used or shown at: ${names(report.addresses)}.`,
    `Gateways that speak for it: ${names(report.gateways)}.`,
    `Sent under it: ${report.transfers_total} transfers. ${report.read_total} were read or are being read; ${unread(report)}`,
  ];
  const plain = report.transfers.filter(({ end_to_end: sealed }) => !sealed).length;
  if (plain > 0) {
    lines.push(
      `Not sealed end to end: ${plain} of the newest ${report.transfers.length}. Whoever could repeat their uploads could have had their links.`,
    );
  }
  lines.push(
    `The same people or place could have seen the keys of ${report.devices_total} other devices: ${names(report.devices.map(({ name, shares }) => `${name} (${shares.join(', ')})`))}.`,
  );
  if (report.devices_total > 0) lines.push(rotation(report));
  if (report.keys.length > 0) {
    lines.push(
      `To be replaced by hand: ${names(report.keys.map(({ kind, name, fingerprint }) => `the ${kind} key "${name}" (${fingerprint})`))}.`,
    );
  }
  lines.push(
    `Sign-ins from the same addresses: ${report.sign_ins_total}${report.sign_ins_total === 0 ? '' : `, the last by ${report.sign_ins[0]?.who} at ${report.sign_ins[0]?.at}`}.`,
  );
  if (dryRun) lines.push('Nothing has been changed: this is what would be done.');
  return lines;
}

function unread({ dry_run: dryRun, unread_total: total, burned }: IncidentReport): string {
  return dryRun
    ? `${total} nobody has read, and would be burned.`
    : `${burned} that nobody had read to the end were burned.`;
}

function rotation({ dry_run: dryRun, campaign_id: id }: IncidentReport): string {
  if (dryRun) return 'A campaign would rotate them all.';
  return id === null
    ? 'None of them has a key that could be rotated.'
    : `The campaign ${id} rotates them: fuselink-server campaign show ${id}.`;
}
