const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

const whole = new Intl.NumberFormat('en');

/** A size with its unit. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0
    ? `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
    : `${value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

/** A number of things: "1 device", "12,000 devices". */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${whole.format(count)} ${count === 1 ? one : many}`;
}

/** A whole number with its thousands apart. */
export function numberText(count: number): string {
  return whole.format(count);
}

/** A fingerprint in groups that people can compare. */
export function fingerprintText(fingerprint: string): string {
  return fingerprint.replace(/(.{4})(?=.)/g, '$1 ');
}
