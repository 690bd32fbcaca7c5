import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOOD_DAY, type SdkOnNode, sdkOnNode } from './sdk-node-kit.ts';

let sdk: SdkOnNode;

beforeAll(async () => {
  sdk = await sdkOnNode();
});
afterAll(() => sdk.close());

describe('the built SDK on this Node', () => {
  test.each(['esm', 'cjs'] as const)(
    'sdk, %s: files, stream, sealed, readings, links, rotation → all of it',
    async (form) => {
      const day = await sdk.smoke(process.execPath, form);
      expect(day).toMatchObject({ ...GOOD_DAY, node: process.version });
      expect(day.phases).toEqual(expect.arrayContaining(['STAGED', 'PROVING', 'PROVEN', 'SETTLED']));
    },
  );
});
