import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { freePort } from '../../test/support/free-port.ts';
import { until } from '../../test/support/until.ts';

/** Where the real one is; absent: tests that need it are left out, and say so. */
export const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'].find(
  (path) => spawnSync(path, ['-h']).error === undefined,
);

/** A Mosquitto of its own with persistence on; in the folder of an earlier one it goes on where that ended. */
export async function startMosquitto(
  port?: number,
  folder?: string,
): Promise<{ port: number; folder: string; stop(): Promise<void> }> {
  const at = folder ?? (await mkdtemp(join(tmpdir(), 'fuselink-mosquitto-')));
  const chosen = port ?? (await freePort());
  const lines = [
    `listener ${chosen} 127.0.0.1`,
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${at}/`,
  ];
  await writeFile(join(at, 'mosquitto.conf'), `${lines.join('\n')}\n`);
  const child: ChildProcess = spawn(MOSQUITTO as string, ['-c', join(at, 'mosquitto.conf')], { stdio: 'ignore' });
  await until('mosquitto listens', async () => {
    const probe = mqtt.connect(`mqtt://127.0.0.1:${chosen}`, { reconnectPeriod: 0, connectTimeout: 1000 });
    probe.on('error', () => {});
    const up = await Promise.race([
      new Promise<boolean>((resolve) => probe.once('connect', () => resolve(true))),
      new Promise<boolean>((resolve) => probe.once('close', () => resolve(false))),
    ]);
    await probe.endAsync(true);
    return up;
  });
  return {
    port: chosen,
    folder: at,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
