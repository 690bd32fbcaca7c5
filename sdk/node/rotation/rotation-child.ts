import { createClient } from '../client.ts';

/** For the test that kills it: sends without end, and says a line whenever something has happened. */
const [url = '', store = ''] = process.argv.slice(2);
const client = createClient({ url, store, stateFolder: null });
client.on('rotation', ({ phase }) => process.stdout.write(`${phase}\n`));
client.on('sent', () => process.stdout.write('sent\n'));
for (let i = 0; ; i++) {
  await client.send(Buffer.from(`reading ${i}`), { filename: 'r', giveUpAfterMs: 5000 }).catch(() => {});
}
