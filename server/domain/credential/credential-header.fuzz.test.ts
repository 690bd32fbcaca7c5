import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyBytesOf, keyHex } from './api-key.ts';
import { readCredential } from './credential-header.ts';
import { newPdmKey, PDM_ALPHABET } from './pdm-key.ts';

const header = fc.option(
  fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc
      .constantFrom('Bearer ', 'bearer', 'Bearer:', 'Basic ', 'pdm_', 'ey')
      .chain((head) => fc.string().map((tail) => head + tail)),
    fc.stringMatching(/^[0-9a-fA-F]{60,68}$/),
    fc.stringMatching(/^Bearer +ey[\w-]{1,20}\.[\w-]{1,20}\.[\w-]{1,20}$/),
  ),
  { nil: undefined },
);

describe('credential header, fuzzed', () => {
  test('any headers → an outcome, never a throw; a refusal never repeats what was sent', () => {
    fc.assert(
      fc.property(header, header, header, (authorization, xApiKey, sessionCookie) => {
        const said = readCredential({ authorization, xApiKey, sessionCookie });
        if (said.ok) return;
        expect(said.detail.length).toBeLessThan(300);
        for (const sent of [authorization, xApiKey, sessionCookie]) {
          // A scheme's name is told back, up to 20 characters; nothing longer is.
          if (sent !== undefined && sent.trim().length > 20) expect(said.detail).not.toContain(sent.trim());
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('any 32 bytes → their hex is the key, in either case, in every header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.boolean(), (bytes, upper) => {
        const text = upper ? keyHex(bytes).toUpperCase() : keyHex(bytes);
        for (const headers of [
          { authorization: `Bearer ${text}`, xApiKey: undefined },
          { authorization: text, xApiKey: undefined },
          { authorization: undefined, xApiKey: text },
        ]) {
          const said = readCredential({ ...headers, sessionCookie: undefined });
          expect(said).toEqual({ ok: true, credential: { kind: 'key', bytes } });
        }
      }),
    );
  });

  test('any random bytes → a pdm_ key that is one, of 28 fair characters', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(255)), (stream) => {
        const key = newPdmKey({ bytes: (count) => Uint8Array.from({ length: count }, () => stream.next().value) });
        expect(keyBytesOf(key.text)).toEqual(key.bytes);
        expect(key.text).toHaveLength(32);
        expect([...key.text.slice(4)].every((character) => PDM_ALPHABET.includes(character))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
