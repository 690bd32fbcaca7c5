import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from './config.ts';

test('deploy: the configuration beside compose.yaml → one that the bridge takes', () => {
  const config = readConfig(join(import.meta.dirname, '../../server/deploy/fuselink-bridge.json'));
  expect(config).toMatchObject({ listen: ['mqtts://0.0.0.0:8884'], broker: { version: 5 } });
});
