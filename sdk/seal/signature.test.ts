import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import { openChunk, sealChunk } from './format/chunks.ts';
import { headerMac, payloadKey, sha256Of } from './format/file-keys.ts';
import { encodeCovered } from './format/header.ts';
import { encodeManifest } from './format/manifest.ts';
import { schemeOf, signatureMessage } from './format/signature.ts';
import type { SecretKey } from './keys/key.ts';
import type { SignaturePolicy } from './opening.ts';
import {
  CRYPTOS,
  contentKeyOf,
  KEYS,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
  testRandom,
} from './seal.testkit.ts';

const CRYPTO = CRYPTOS[1]!;
const KEY = { contentKey: contentKeyOf('seal') };

/**
 * What a dishonest holder of the content key can write: any plaintext stream under a valid header. Everything but the
 * signature is his to choose.
 */
function forge(stream: (headerHash: Uint8Array) => Uint8Array): Uint8Array {
  const contentKey = contentKeyOf('seal');
  const salt = testRandom('forged').bytes(32);
  const covered = encodeCovered(salt, []);
  const header = concat([covered, headerMac(CRYPTO, contentKey, salt, covered)]);
  const headerHash = sha256Of(CRYPTO, [header]);
  const key = payloadKey(CRYPTO, contentKey, salt, headerHash);
  return concat([header, ...sealChunk(CRYPTO, key, { index: 0, last: true }, [stream(headerHash)])]);
}

function manifestOf(signer: SecretKey): Uint8Array {
  return encodeManifest({ name: null, contentBytes: null, mediaType: null, modifiedAtMs: null, signer });
}

describe.each([KEYS.pump, KEYS.valve])('signature with $algorithm', (signer) => {
  const scheme = schemeOf(signer);
  const sign = (seed: Uint8Array, message: Uint8Array) =>
    scheme.sign(CRYPTO, seed, message, new Uint8Array(scheme.coinsBytes));

  it('signed and opened with every policy that accepts it → the signer is reported', () => {
    const sealed = sealWhole(testContent(500), { to: TO_LINK, signer });
    const policies: (SignaturePolicy | undefined)[] = [
      undefined,
      { required: true, trusted: null },
      { required: true, trusted: [KEYS.pump, KEYS.valve] },
      { required: false, trusted: [signer] },
    ];
    for (const policy of policies) {
      const outcome = openPieces([sealed], policy === undefined ? KEY : { ...KEY, signature: policy });
      expect(outcome.report?.signer).toMatchObject({ algorithm: signer.algorithm, publicKey: signer.publicKey });
      expect(outcome.released).toEqual(testContent(500));
    }
  });

  it('a signer who is not trusted → signer_untrusted before any content, required or not', () => {
    const sealed = sealWhole(testContent(500), { to: TO_LINK, signer });
    const others = [KEYS.pump, KEYS.valve].filter((key) => key !== signer);
    for (const trusted of [others, []]) {
      for (const required of [true, false]) {
        const outcome = openPieces([sealed], { ...KEY, signature: { required, trusted } });
        expect([outcome.code, outcome.released.length]).toEqual(['signer_untrusted', 0]);
      }
    }
  });

  it('forged by a holder of the content key → signature_invalid; honest in the same way → opens', () => {
    const content = testContent(100);
    const manifest = manifestOf(signer);
    const message = (headerHash: Uint8Array, body = content, bytes = body.length) =>
      signatureMessage({ signer, headerHash, contentHash: sha256Of(CRYPTO, [manifest, body]), contentBytes: bytes });
    const honest = forge((hash) => concat([manifest, content, sign(signer.seed, message(hash))]));
    expect(openPieces([honest], KEY).code).toBeNull();

    const stranger = new Uint8Array(32).fill(99);
    const forgeries: Record<string, Uint8Array> = {
      'by another key': forge((hash) => concat([manifest, content, sign(stranger, message(hash))])),
      'for another header': forge(() => concat([manifest, content, sign(signer.seed, message(new Uint8Array(32)))])),
      'for other content': forge((hash) =>
        concat([manifest, content, sign(signer.seed, message(hash, testContent(99)))]),
      ),
      'for another size': forge((hash) => concat([manifest, content, sign(signer.seed, message(hash, content, 99))])),
      'of zeros': forge(() => concat([manifest, content, new Uint8Array(scheme.signatureBytes)])),
      'left out': forge(() => concat([manifest, content])),
      'cut short': forge((hash) => concat([manifest, sign(signer.seed, message(hash)).subarray(1)])),
    };
    for (const [what, sealed] of Object.entries(forgeries)) {
      expect({ what, code: openPieces([sealed], KEY).code }).toEqual({ what, code: 'signature_invalid' });
    }
  });

  it('a signed file passed on under another header by a recipient → signature_invalid', () => {
    const sealed = sealWhole(testContent(100), { to: TO_LINK, signer });
    const contentKey = contentKeyOf('seal');
    const headerHash = sha256Of(CRYPTO, [sealed.subarray(0, 75)]);
    const key = payloadKey(CRYPTO, contentKey, sealed.subarray(9, 41), headerHash);
    const stream = concat(openChunk(CRYPTO, key, { index: 0, last: true }, [sealed.subarray(75)])!);
    expect(openPieces([forge(() => stream)], KEY).code).toBe('signature_invalid');
  });

  it('content whose end falls anywhere around the chunk end → opens', () => {
    const room = 65_536 - manifestOf(signer).length;
    for (const size of [room - scheme.signatureBytes, room - scheme.signatureBytes + 1, room - 1, room, room + 1]) {
      const sealed = sealWhole(testContent(size), { to: TO_LINK, signer, contentBytes: null });
      const outcome = openPieces([sealed.subarray(0, 70_000), sealed.subarray(70_000)], KEY);
      expect({ size, code: outcome.code }).toEqual({ size, code: null });
      expect(Buffer.compare(outcome.released, testContent(size))).toBe(0);
    }
  });
});

describe('signature policy', () => {
  it('an unsigned file → refused only where a signature is required, before any content', () => {
    const sealed = sealWhole(testContent(500), { to: TO_OPS });
    const open = (signature: SignaturePolicy) => openPieces([sealed], { identities: [KEYS.ops], signature });
    expect(open({ required: false, trusted: [KEYS.pump] }).code).toBeNull();
    const refused = open({ required: true, trusted: null });
    expect([refused.code, refused.released.length]).toEqual(['signature_missing', 0]);
  });

  it('a recipient key given as signer, a signing key given as recipient → key_malformed, recipients_invalid', () => {
    expect(() => sealWhole(testContent(1), { to: TO_LINK, signer: KEYS.ops })).toThrow(
      expect.objectContaining({ code: 'key_malformed' }),
    );
    expect(() => sealWhole(testContent(1), { to: { kind: 'recipients', recipients: [KEYS.pump] } })).toThrow(
      expect.objectContaining({ code: 'recipients_invalid' }),
    );
  });
});
