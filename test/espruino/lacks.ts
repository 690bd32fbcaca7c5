/** What the interpreter has not, asked of the interpreter itself (2v29), by where it would be found. */
export const GLOBALS_LACKING = [
  ...['Map', 'Set', 'WeakMap', 'WeakSet', 'Symbol', 'BigInt', 'Proxy', 'Reflect', 'TextEncoder', 'TextDecoder', 'URL'],
  ...['fetch', 'escape', 'queueMicrotask', 'structuredClone', 'setImmediate', 'Intl', 'WebAssembly', 'Atomics'],
  ...['SharedArrayBuffer', 'FinalizationRegistry', 'WeakRef', 'RangeError', 'BigInt64Array', 'BigUint64Array'],
];

export const MEMBERS_LACKING: Readonly<Record<string, readonly string[]>> = {
  'String.prototype':
    'anchor at big blink bold codePointAt fontcolor fontsize fixed isWellFormed italics link localeCompare matchAll normalize search small strike sub sup toWellFormed trimStart trimLeft trimEnd trimRight toLocaleLowerCase toLocaleUpperCase'.split(
      ' ',
    ),
  'Array.prototype':
    'at copyWithin findLast findLastIndex lastIndexOf keys entries values flat flatMap reduceRight toLocaleString toReversed toSorted toSpliced with'.split(
      ' ',
    ),
  'Object.getPrototypeOf(Uint8Array.prototype)':
    'entries keys values at copyWithin findLast findLastIndex lastIndexOf reduceRight toLocaleString toReversed toSorted with'.split(
      ' ',
    ),
  Object: 'getOwnPropertySymbols hasOwn is preventExtensions seal freeze isExtensible isFrozen isSealed'.split(' '),
  Math: 'acosh asinh atanh cbrt expm1 clz32 cosh fround hypot imul log1p log2 log10 sinh tanh trunc'.split(' '),
  Array: ['from', 'of'],
  Promise: ['allSettled', 'any', 'race'],
  'Promise.prototype': ['finally'],
  String: ['fromCodePoint', 'raw'],
  Number: 'isFinite isInteger isNaN isSafeInteger parseFloat parseInt MAX_SAFE_INTEGER MIN_SAFE_INTEGER EPSILON'.split(
    ' ',
  ),
};
