import { address } from '../api/calls.ts';

/** The server as devices reach it, without a slash at the end. */
export function serverUrl(): string {
  return new URL(address(''), location.href).href.replace(/\/$/, '');
}

/** Text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** On the server: a device and its key. */
export function enrolCommand(name: string): string {
  return `npm run -s fuselink-server -- device enrol ${shellWord(name)}`;
}

/** On a device: a file as it is. */
export function sendCommand(key: string, filename = 'reading.csv'): string {
  return `curl -T ${shellWord(filename)} -H "Authorization: Bearer ${key}" ${serverUrl()}/v1/upload/`;
}

/** On a device with Node: goes on where it stopped. */
export function sendWithCli(key: string): string {
  return `FUSELINK_URL=${serverUrl()} FUSELINK_KEY=${key} npm run -s fuselink -- send reading.csv`;
}

export function campaignCommand(): string {
  return 'npm run -s fuselink-server -- campaign create --help';
}

export function eventsCommand(): string {
  return `curl -N -H "Authorization: Bearer KEY" ${serverUrl()}/v1/events`;
}
