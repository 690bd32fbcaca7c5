import { chmod } from 'node:fs/promises';
import { bundleSimulator } from './build.ts';

const FILE = 'dist/sim/fuselink-sim.mjs';

await bundleSimulator('device-sim/fuselink-sim.ts', FILE);
await chmod(FILE, 0o755);
