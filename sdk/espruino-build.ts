import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, type Plugin, transformSync } from 'esbuild';
import { madeOnce } from './espruino-cache.ts';
import { inlinedFunctions } from './espruino-inline.ts';
import { nestedFunctions } from './espruino-nest.ts';
import { shrink, withOwnNames } from './espruino-shrink.ts';
import { tableModule, withShortWords } from './espruino-table.ts';

const BANNER = 'var $x=exports,$r=require;';

const SDK = fileURLToPath(new URL('.', import.meta.url));

/**
 * Properties that only this SDK's own code speaks of. What the interpreter, the server or the caller names is not here, and
 * is reached by quoted names where it is called alike.
 */
const OWN_PROPERTIES = [
  ...['phase', 'candidate', 'mirrored', 'turn', 'baseRefused', 'recovery', 'highestGeneration', 'writing', 'failures'],
  ...[
    'base',
    'generation',
    'fingerprint',
    'form',
    'bytes',
    'kind',
    'slots',
    'source',
    'record',
    'by',
    'state',
    'effects',
  ],
  ...[
    'delayMsMax',
    'phases',
    'events',
    'guards',
    'next',
    'actions',
    'count',
    'at',
    'rows',
    'holds',
    'act',
    'authentic',
  ],
  ...[
    'usedFingerprint',
    'problemFingerprint',
    'registeredFingerprint',
    'tells',
    'told',
    'pageBytes',
    'erase',
    'program',
  ],
  ...['pair', 'provision', 'stage', 'settle', 'keyId', 'query', 'put', 'status', 'code', 'said'],
  ...[
    'place',
    'offset',
    'attempts',
    'done',
    'request',
    'source',
    'msMin',
    'msBase',
    'msMax',
    'name',
    'nonce',
    'content',
    'named',
  ],
];

/**
 * What lies in RAM while the device waits: what timers, answers and the program call. All else is declared while one of these
 * runs. The transient ones are the table's (`espruino-table.ts`): of one step.
 */
const RESIDENCE = {
  resident: ['tick', 'work', 'over', 'exchange', 'vouch', 'phaseName'],
  transient: ['state', 'event', 'effects'],
};

/** Modules of the core that a small device has otherwise: natively, or written shorter. */
const swap: Plugin = {
  name: 'what-espruino-has',
  setup(bundler) {
    const native = (names: string) => () => ({
      contents: `export { ${names} } from '${SDK}espruino/native.ts';`,
    });
    bundler.onLoad({ filter: /core\/bytes\/crc32\.ts$/ }, native('crc32'));
    bundler.onLoad({ filter: /core\/bytes\/integers\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const others = source.replace(/export function (?:readU32le|writeU32le)\([\s\S]*?\n}\n/g, '');
      const names = 'readU32le, writeU32le';
      return {
        contents: `import { ${names} } from '${SDK}espruino/native.ts'; export { ${names} };${others}`,
        loader: 'ts',
      };
    });
    bundler.onLoad({ filter: /core\/bytes\/text\.ts$/ }, native('fromAscii, fromHex, toAscii, toHex'));
    bundler.onLoad({ filter: /core\/bytes\/arrays\.ts$/ }, native('concatBytes, copyBytes, equalBytes'));
    bundler.onLoad({ filter: /core\/rotation\/take\.ts$/ }, async ({ path }) => ({
      contents: withShortWords(tableModule(await readFile(path.replace('take.ts', 'words.ts'), 'utf8')), '"'),
      loader: 'js',
    }));
    bundler.onLoad({ filter: /(core\/rotation\/\w+|espruino\/(agent|fuselink))\.ts$/ }, async ({ path }) => {
      const source = (await readFile(path, 'utf8'))
        .replace(/^ *recovery: false,$|, source: 'offer', recovery: false/m, '')
        // The one who steps has no use for the state before; a device is provisioned before it boots.
        .replace('copyState(before)', 'before')
        .replace(" || event.kind === 'provisioned'", '')
        // Whether it was committed is all that matters here.
        .replace("request: whole ? 'commit' : 'other'", 'request: whole')
        .replace("outcome.request === 'commit'", 'outcome.request');
      return { contents: withShortWords(source, "'"), loader: 'ts' };
    });
    // Nobody reads messages on a device: the code says what it was.
    bundler.onLoad({ filter: /core\/credentials\/slots\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { contents: source.replace(/throw nvsError\((\w+), [^;]*;/g, 'throw $1;'), loader: 'ts' };
    });
    // What holds the key's bytes is shown to nobody here, and every function costs.
    bundler.onLoad({ filter: /(core\/credentials\/(key|record)|espruino\/signed)\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const plain = source.replace(/bytes: function \(\) \{\s*return bytes;\s*\}/, 'bytes: bytes');
      return { contents: plain.replace(/\.bytes\(\)/g, '.bytes'), loader: 'ts' };
    });
    // Nothing in a module that is not asked for matters to the others.
    bundler.onResolve({ filter: /^[.#]/ }, async ({ path, resolveDir, kind, importer, pluginData }) => {
      if (pluginData === swap) return undefined;
      const resolved = await bundler.resolve(path, { resolveDir, kind, importer, pluginData: swap });
      return { ...resolved, sideEffects: false };
    });
  },
};

const SYNTAX = {
  target: 'es5',
  supported: {
    arrow: true,
    'const-and-let': true,
    class: true,
    'template-literal': true,
    'for-of': true,
    'nullish-coalescing': false,
    'optional-catch-binding': false,
    'class-field': false,
    'class-static-field': false,
  },
  charset: 'ascii',
  legalComments: 'none',
} satisfies BuildOptions;

/**
 * One CommonJS module of what the interpreter can run; esbuild itself refuses most of what it cannot. The short one is made
 * of what this gives by `espruinoShort`.
 */
export function espruinoOptions(short: boolean): BuildOptions {
  return {
    ...SYNTAX,
    entryPoints: ['sdk/espruino/fuselink.ts'],
    format: 'esm',
    platform: 'neutral',
    // Said outright: the build of the other targets minifies, and names are still needed here.
    minify: false,
    minifySyntax: short,
    keepNames: false,
    banner: { js: BANNER },
    plugins: [swap],
    ...(short ? { mangleProps: new RegExp(`^(?:${OWN_PROPERTIES.join('|')})$`) } : {}),
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  };
}

/** The module as short as it gets, from the bundle that `espruinoOptions(true)` gives. */
export function espruinoShort(bundle: string): Promise<string> {
  return madeOnce(bundle, shortened);
}

function shortened(bundle: string): string {
  const tidy = (text: string) =>
    transformSync(text, { ...SYNTAX, format: 'esm', minifySyntax: true, treeShaking: true }).code;
  const inlined = inlinedFunctions(bundle.replace(BANNER, ''), tidy, RESIDENCE.resident);
  const whole = withOwnNames(nestedFunctions(inlined, RESIDENCE));
  return BANNER + shrink(transformSync(whole, { ...SYNTAX, format: 'esm', minify: true, treeShaking: true }).code);
}
