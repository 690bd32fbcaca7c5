import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { report } from './report.ts';
import { mqttControl } from './steps/mqtt-control.ts';
import { mqttDevices } from './steps/mqtt-devices.ts';
import { plantLoss } from './steps/plant-loss.ts';
import { previewLinks } from './steps/preview-links.ts';
import { readLinks } from './steps/read-links.ts';
import { revokeKey } from './steps/revoke-key.ts';
import { rotateFleet } from './steps/rotate-fleet.ts';
import { sendFiles } from './steps/send-files.ts';
import { operator, type Step, startServerProcess, type World } from './world.ts';

const HELP = `npm run demo -- [--plant-loss] [--keep]

The main job on this machine: a server, a device, real files in, links out, each read once and burned.
Exit code 0 only if nothing was lost and nothing was read twice.

  --plant-loss   damage one stored file on purpose: the demo must notice and exit 1
  --keep         keep the temporary folder and print where it is`;

/** What the demo shows, in order. */
const STEPS: readonly Step[] = [
  sendFiles,
  previewLinks,
  plantLoss,
  readLinks,
  mqttDevices,
  mqttControl,
  revokeKey,
  rotateFleet,
];

const { values } = parseArgs({
  options: { 'plant-loss': { type: 'boolean' }, keep: { type: 'boolean' }, help: { type: 'boolean' } },
});

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-demo-'));
  const dataFolder = join(folder, 'server');
  const server = await startServerProcess(dataFolder);
  const say = (line: string) => void process.stdout.write(`    ${line}\n`);
  try {
    const account = await operator(dataFolder, 'account', 'create', '--email', 'demo@example.com');
    const enrolled = await operator(dataFolder, 'device', 'enrol', 'demo-pi');
    const world: World = {
      folder,
      dataFolder,
      url: server.url,
      accountKey: String(account.api_key),
      device: { id: String(enrolled.device_id), key: String(enrolled.api_key) },
      sent: [],
      failures: [],
      say,
      plantLoss: values['plant-loss'] === true,
    };
    process.stdout.write(`The server listens on ${server.url}\n`);
    for (const step of STEPS) {
      if (step === plantLoss && !world.plantLoss) continue;
      process.stdout.write(`\n${step.title}\n`);
      await step.run(world);
    }
    process.stdout.write('\nReport (read back from the server and the disk)\n');
    for (const line of await report(world)) say(line);
    for (const failure of world.failures) process.stdout.write(`FAILED: ${failure}\n`);
    process.stdout.write(
      world.failures.length === 0
        ? '\nNothing was lost, nothing was read twice.\n'
        : `\n${world.failures.length} failures.\n`,
    );
    process.exitCode = world.failures.length === 0 ? 0 : 1;
  } finally {
    await server.stop();
    if (values.keep === true) process.stdout.write(`kept: ${folder}\n`);
    else await rm(folder, { recursive: true, force: true });
  }
}

if (values.help === true) {
  process.stdout.write(`${HELP}\n`);
} else {
  main().catch((error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
