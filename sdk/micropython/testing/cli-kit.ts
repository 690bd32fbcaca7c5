import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { DeviceId } from '../../../server/domain/ids.ts';
import { enrolDevice } from '../../../server/usecases/device/enrol-device.ts';
import { type RunResult, run } from '../../../test/support/run.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../../../test/support/test-server.ts';
import { PYTHON_ENV, python } from './interpreters.ts';

/** `python3 -m fuselink` in a folder with `a.txt`, at a server, with a device's key in FUSELINK_KEY. */
export class CliKit {
  readonly program = python().program;
  server!: TestServer;
  key!: string;
  env!: Record<string, string>;
  #folder!: { path: string; remove(): Promise<void> };
  #devices = 0;

  get cwd(): string {
    return this.#folder.path;
  }

  place(name: string): string {
    return join(this.#folder.path, name);
  }

  fuselink(args: string[], more: Record<string, string> = {}, input = ''): Promise<RunResult> {
    return run(this.program, ['-m', 'fuselink', ...args], { cwd: this.cwd, env: { ...this.env, ...more }, input });
  }

  async enrol(): Promise<{ key: string; deviceId: DeviceId; recoverySecret: string }> {
    const made = await enrolDevice(this.server.deps, this.server.operator, { name: `cli-${++this.#devices}` });
    return { key: made.key, deviceId: made.device.id as DeviceId, recoverySecret: made.recoverySecret };
  }

  async start(): Promise<void> {
    this.server = await startTestServer();
    this.#folder = await temporaryFolder();
    ({ key: this.key } = await this.server.device());
    this.env = {
      ...PYTHON_ENV,
      FUSELINK_URL: this.server.url,
      FUSELINK_KEY: this.key,
      FUSELINK_KEY_FILE: '',
      FUSELINK_CA: '',
      FUSELINK_STATE: this.place('state'),
      FUSELINK_CREDENTIALS: this.place('credentials'),
    };
    await writeFile(this.place('a.txt'), 'first\n');
  }

  async stop(): Promise<void> {
    await this.server.close();
    await this.#folder.remove();
  }
}

/** The kit, started before the tests of this describe and stopped after them. */
export function cliKit(): CliKit {
  const kit = new CliKit();
  beforeAll(() => kit.start());
  afterAll(() => kit.stop());
  return kit;
}
