import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { parseApiKey } from '#sdk/core';
import { openCredentialSlots, saveIdentity } from '#sdk/node';
import { buildSdk } from '../../sdk/build.ts';
import type { DeviceId } from '../../server/domain/ids.ts';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { operatorOf } from '../../server/usecases/account/create-account.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { run } from '../support/run.ts';
import type { SmokeGiven, SmokeResult } from './sdk-smoke.ts';

export type ModuleForm = 'esm' | 'cjs';

export interface SdkOnNode {
  /** Runs the built SDK's day on the Node at `program`. Throws with what it printed where it fails. */
  smoke(program: string, form: ModuleForm): Promise<SmokeResult>;
  close(): Promise<void>;
}

/** A real server, the SDK built afresh, and a program of each module form that uses it. */
export async function sdkOnNode(): Promise<SdkOnNode> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-nodes-'));
  await buildSdk(join(folder, 'dist'));
  const kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '100000' });
  const account = await kit.account();
  const programs = { esm: join(folder, 'smoke.mjs'), cjs: join(folder, 'smoke.cjs') };
  for (const form of ['esm', 'cjs'] as const) await writeFile(programs[form], await programOf(form, folder));
  let devices = 0;
  return {
    async smoke(program, form) {
      const given = await deviceDay(kit, account, `${form} ${++devices}`, folder);
      const ran = await run(program, [programs[form]], { env: { SMOKE: JSON.stringify(given) } });
      if (ran.code !== 0) throw new Error(`${program}, ${form}: exit ${ran.code}\n${ran.stdout}\n${ran.stderr}`);
      return JSON.parse(ran.stdout) as SmokeResult;
    },
    async close() {
      await kit.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function programOf(format: ModuleForm, folder: string): Promise<string> {
  const sdk = join(folder, 'dist/sdk/node', format === 'esm' ? 'index.mjs' : 'index.cjs');
  const load =
    format === 'esm'
      ? `import * as sdk from ${JSON.stringify(pathToFileURL(sdk).href)};`
      : `const sdk = require(${JSON.stringify(sdk)});`;
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'sdk-smoke.ts')],
    bundle: true,
    platform: 'node',
    target: 'node18',
    format: 'iife',
    globalName: 'day',
    write: false,
    // The bundle's requires of Node's modules, in a module that has no require.
    banner: {
      js:
        format === 'esm'
          ? "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
          : '',
    },
  });
  const given = 'JSON.parse(process.env.SMOKE)';
  const tell = '(result) => console.log(JSON.stringify(result))';
  const fail = '(error) => { console.error(error); process.exitCode = 1; }';
  return `${load}\n${outputFiles[0]?.text}\nday.smoke(sdk, ${given}).then(${tell}, ${fail});\n`;
}

async function deviceDay(kit: Kit, account: TestAccount, name: string, folder: string): Promise<SmokeGiven> {
  const operator = operatorOf(account.accountId, account.row);
  const { deps } = kit.server;
  const sender = await enrolDevice(deps, operator, { name: `${name} sends` });
  const rotating = await enrolDevice(deps, operator, { name: `${name} rotates` });
  const key = parseApiKey(rotating.key);
  if (key === null) throw new Error('expected a key in a known form');
  const store = await mkdtemp(join(folder, 'store-'));
  openCredentialSlots(store).provision(key, 1);
  await saveIdentity(store, { deviceId: rotating.device.id, recoverySecret: rotating.recoverySecret });
  await orderRotation(deps, operator, rotating.device.id as DeviceId, { verb: 'rotate', plan: { soakMs: 0 } });
  return { url: kit.url, key: sender.key, store };
}

/** What the day comes to wherever it is spent. */
export const GOOD_DAY = {
  sent: [1000, 400_000, 140_000, 400_000],
  readings: 100,
  refused: 'option_invalid',
  counted: true,
};
