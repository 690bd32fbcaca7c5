/** For the kill test: records as fast as it can, says what is durable and what the server has, until it is killed. */
import { createClient } from '../index.ts';

const [url = '', folder = '', round = ''] = process.argv.slice(2);
const client = createClient({
  url,
  key: process.env['FUSELINK_KEY'],
  device: 'pump',
  stateFolder: folder,
  readings: {
    countMax: 60,
    mergeBytesMax: 20_000,
    lanes: [{ lane: 1, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 1e8 }],
  },
});
client.on('batch', ({ id, url: link }) => link !== null && process.stdout.write(`batch ${id} ${link}\n`));

for (let i = 0; ; i++) {
  const outcome = await client.record({ round, i });
  if (outcome.kept && outcome.durable) process.stdout.write(`kept ${outcome.sequence} ${round}.${i}\n`);
}
