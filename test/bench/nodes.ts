import { startNodeGroup } from '../support/node-group.ts';
import { prepareAccount, type ServerChild, startServerChild } from '../support/server-child.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { agent, send } from './http-load.ts';
import { median } from './process-stats.ts';

/*
 * npx tsx test/bench/nodes.ts: uploads (4 KiB) and claims a second on one node with SQLite, one with PostgreSQL, and three
 * with PostgreSQL, in alternating rounds of one run. Everything is on this machine: with two cores three nodes share what one has.
 */
const ROUNDS = 3;
const UPLOADS = 400;
const AT_ONCE = 32;
const BYTES = 4096;

interface Setup {
  name: string;
  nodes: ServerChild[];
  key: string;
  uploads: number[];
  claims: number[];
}

async function each<T>(items: readonly T[], act: (item: T, i: number) => Promise<void>): Promise<number> {
  const began = performance.now();
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) await act(items[i] as T, i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (items.length * 1000) / (performance.now() - began);
}

async function round(setup: Setup): Promise<void> {
  const connections = agent();
  const at = (i: number) => (setup.nodes[i % setup.nodes.length] as ServerChild).url;
  const links: string[] = [];
  const rate = await each(Array.from({ length: UPLOADS }), async (_, i) => {
    const options = {
      url: `${at(i)}/v1/upload`,
      bytes: BYTES,
      headers: { 'x-api-key': setup.key },
      agent: connections,
    };
    links.push(new URL(JSON.parse((await send(options)).body).url).pathname);
  });
  setup.uploads.push(rate);
  setup.claims.push(
    await each(links, async (path, i) => {
      await send({ url: `${at(i + 1)}${path}/claim`, bytes: 0, headers: {}, agent: connections });
    }),
  );
  connections.destroy();
}

const group = await startNodeGroup();
const folder = await temporaryFolder();
try {
  const { accountKey } = await prepareAccount(`${folder.path}/data`);
  const sqlite = await startServerChild(`${folder.path}/data`);
  const setups: Setup[] = [{ name: 'one node, SQLite', nodes: [sqlite], key: accountKey, uploads: [], claims: [] }];
  if (group !== null) {
    const nodes = [await group.node(), await group.node(), await group.node()];
    const key = group.accountKey;
    setups.push({ name: 'one node, PostgreSQL', nodes: nodes.slice(0, 1), key, uploads: [], claims: [] });
    setups.push({ name: 'three nodes, PostgreSQL', nodes, key, uploads: [], claims: [] });
  }
  for (let i = 0; i < ROUNDS; i++) for (const setup of setups) await round(setup);
  for (const { name, uploads, claims } of setups) {
    process.stdout.write(
      `${name.padEnd(24)} ${median(uploads).toFixed(0).padStart(6)} uploads/s ${median(claims).toFixed(0).padStart(6)} claims/s\n`,
    );
  }
  await sqlite.stop();
} finally {
  await group?.close();
  await folder.remove();
}
