import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { contentKeyOf, openPieces, testContent } from './seal.testkit.ts';

/** What a browser page on plain HTTP has of cryptography: random values, no `subtle`. */
const PLAIN_HTTP_REALM = ['TextEncoder', 'TextDecoder'] as const;

async function bundle(): Promise<string> {
  const built = await build({
    entryPoints: [new URL('index.ts', import.meta.url).pathname],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'seal',
    platform: 'browser',
    target: 'es2022',
    minify: true,
  });
  return built.outputFiles[0]!.text;
}

describe('bundle', () => {
  it('index.ts for browsers → needs nothing of Node, fits 115 KB, seals and opens without crypto.subtle', async () => {
    const code = await bundle();
    expect(code.length).toBeLessThan(115 * 1024);
    const realm: Record<string, unknown> = {
      crypto: { getRandomValues: (array: Uint8Array) => globalThis.crypto.getRandomValues(array) },
    };
    for (const name of PLAIN_HTTP_REALM) realm[name] = globalThis[name];
    // One Uint8Array for both sides, as pages have: the realm's own would fail `instanceof` in the check below.
    realm['Uint8Array'] = Uint8Array;
    createContext(realm);
    runInContext(code, realm);
    const [content, label] = [testContent(100_000), 'seal'];
    Object.assign(realm, { content, contentKey: contentKeyOf(label) });
    const sealed = runInContext(
      `(() => {
        const effects = { crypto: seal.nobleCrypto, random: seal.webRandom };
        const sealer = seal.createSealer(effects, { to: { kind: 'link' }, name: 'in a page' });
        return { pieces: [...sealer.push(content), ...sealer.finish()], fragment: sealer.fragment };
      })()`,
      realm,
    ) as { pieces: Uint8Array[]; fragment: string };
    const contentKey = runInContext(`seal.decodeFragment(seal.nobleCrypto, ${JSON.stringify(sealed.fragment)})`, realm);
    const outcome = openPieces(sealed.pieces, { contentKey: contentKey as Uint8Array });
    expect([outcome.code, outcome.report?.manifest.name]).toEqual([null, 'in a page']);
    expect(Buffer.compare(outcome.released, content)).toBe(0);
  });
});
