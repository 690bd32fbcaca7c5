/** What every blob store accepts as an id: safe as a file name and as an object key, whatever the store. */
const BLOB_ID = /^[A-Za-z0-9_-]{2,128}$/;

export function isBlobId(text: string): boolean {
  return BLOB_ID.test(text);
}

/** Throws TypeError unless the id is 2 to 128 of letters, digits, `_` and `-`: nothing else ever becomes a path. */
export function checkBlobId(id: string): void {
  if (!isBlobId(id)) throw new TypeError('expected a blob id of 2 to 128 letters, digits, _ and -');
}

/** Throws RangeError unless both are whole numbers of bytes of at least 0. */
export function checkByteRange(range: { offset: number; length?: number }): void {
  const { offset, length = 0 } = range;
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new RangeError(`expected an offset of at least 0, came ${offset}`);
  if (!Number.isSafeInteger(length) || length < 0)
    throw new RangeError(`expected a length of at least 0, came ${length}`);
}
