import { readSettings, startServer } from '#server';

/** The server as a program, with checkpoints close enough together for a small test file to meet many of them. */
const server = await startServer(readSettings(process.env));
server.deps.settings.checkpointBytes = Number(process.env['CHECKPOINT_BYTES']);
process.stdout.write(`listens on ${server.url}\n`);
process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
