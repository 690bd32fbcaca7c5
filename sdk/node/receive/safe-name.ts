import { FILENAME_BYTES_MAX } from '#sdk/protocol';

/** Room for what is appended while the file is on its way (`.part`, `.99.part`). */
const ROOM_BYTES = 8;
/** Names Windows keeps for devices, whatever follows the dot. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;
const FALLBACK = 'download';

function cutToBytes(text: string, bytesMax: number): string {
  let out = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    out += character;
  }
  return out;
}

/**
 * The sender's name as a name that stays in one folder and does nothing there but name a file: last path part only,
 * no control or direction-changing characters, nothing a shell takes for an option or a hidden file, no device name,
 * short enough for the file system with its ending kept.
 */
export function safeName(name: string): string {
  const sound = Buffer.from(name, 'utf8').toString('utf8');
  const last = sound.split(/[/\\]/).pop() ?? '';
  let clean = last
    .replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]/gu, '')
    .replace(/[<>:"|?*]/g, '_')
    .replace(/[. ]+$/, '')
    .trimStart()
    .replace(/^[.-]/, '_');
  if (RESERVED.test(clean)) clean = `_${clean}`;
  if (clean === '' || /^_+$/.test(clean)) return FALLBACK;
  const bytesMax = FILENAME_BYTES_MAX - ROOM_BYTES;
  if (Buffer.byteLength(clean) <= bytesMax) return clean;
  const ending = /\.[^.\s]{1,16}$/.exec(clean)?.[0] ?? '';
  return `${cutToBytes(clean.slice(0, clean.length - ending.length), bytesMax - Buffer.byteLength(ending))}${ending}`;
}
