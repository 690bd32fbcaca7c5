import { chmod } from 'node:fs/promises';
import { bundleSimulator } from './build.ts';

const FILE = 'dist/sim/fuselink-sim.mjs';

await bundleSimulator('device-sim/main.ts', FILE);
await chmod(FILE, 0o755);
