import { createReadStream, createWriteStream, fsyncSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/**
 * What everything is compared with: a bare node:http server that pipes a body into a file and a file into an answer.
 * Headers choose the variant: `x-buffer: large` (1 MiB instead of Node's default), `x-fsync: yes`.
 */
const folder = process.argv[2] ?? '.';
mkdirSync(folder, { recursive: true });
const LARGE = 1_048_576;
let next = 0;

const server = createServer((req, res) => {
  const large = req.headers['x-buffer'] === 'large' ? { highWaterMark: LARGE } : {};
  if (req.method === 'POST') {
    const name = `${next++}`;
    const file = createWriteStream(join(folder, name), large);
    const fsync = req.headers['x-fsync'] === 'yes';
    let descriptor = -1;
    file.on('open', (fd) => {
      descriptor = fd;
    });
    // `finish` comes before the stream closes its descriptor: the moment to flush.
    file.on('finish', () => {
      if (fsync) fsyncSync(descriptor);
      const body = JSON.stringify({ url: `/${name}` });
      res.writeHead(201, { 'content-length': body.length }).end(body);
    });
    req.pipe(file);
  } else {
    createReadStream(join(folder, (req.url ?? '').slice(1)), large).pipe(res);
  }
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })}\n`);
});
