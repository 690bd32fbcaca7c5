import { Agent, request } from 'node:http';
import { main } from '../main.ts';

/** Work of `live.bench.ts` in a process of its own: `bare URL KEY` or `live URL KEY-FILE DEVICES`. Prints what it took. */
const SECONDS = 30;
/** What one server takes without a queue that only grows; each device sends 50 a minute at most. */
const RATE_MAX = 150;
const BARE_SECONDS = 10;
const BARE_CONNECTIONS = 16;
const BODY = `${JSON.stringify({ n: 1 })}\n`.repeat(4);

export interface Measured {
  requests: number;
  seconds: number;
  cpuMs: number;
  rssMb: number;
}

async function bare(url: string, key: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: BARE_CONNECTIONS });
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/x-ndjson',
    'content-length': BODY.length,
  };
  const post = () =>
    new Promise<void>((resolve, reject) => {
      const outgoing = request(`${url}/v1/upload`, { method: 'POST', headers, agent }, (response) => {
        response.resume().on('end', () => {
          if (response.statusCode === 201) resolve();
          else reject(new Error(`expected 201, got ${response.statusCode}`));
        });
      });
      outgoing.on('error', reject).end(BODY);
    });
  const began = performance.now();
  const before = process.cpuUsage();
  let requests = 0;
  const worker = async () => {
    while (performance.now() - began < BARE_SECONDS * 1000) {
      await post();
      requests++;
    }
  };
  await Promise.all(Array.from({ length: BARE_CONNECTIONS }, worker));
  report({ requests, seconds: (performance.now() - began) / 1000, ...spent(before) });
  agent.destroy();
}

function spent(before: NodeJS.CpuUsage): { cpuMs: number; rssMb: number } {
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1000, rssMb: process.resourceUsage().maxRSS / 1024 };
}

function report(measured: Measured): void {
  process.stdout.write(`MEASURED ${JSON.stringify(measured)}\n`);
}

async function live(url: string, keyFile: string, devices: number): Promise<void> {
  const rate = Math.min(RATE_MAX, (devices * 50) / 60);
  const before = process.cpuUsage();
  let last = '';
  const words = ['--url', url, '--management-key-file', keyFile, '--devices', String(devices), '--rate', String(rate)];
  const more = ['--duration', String(SECONDS), '--only', 'none', '--read-back', '0', '--json'];
  const code = await main(['live', ...words, ...more], {
    out: (text) => {
      last = text;
    },
    err: (text) => process.stderr.write(text),
  });
  const result = JSON.parse(last) as { requests: number; requests_per_second: number; seconds: number };
  if (code !== 0) process.stderr.write(`live exited with ${code}: ${last.slice(0, 2000)}\n`);
  report({ requests: result.requests, seconds: result.seconds, ...spent(before) });
}

const [what, url = '', key = '', devices = ''] = process.argv.slice(2);
if (what === 'bare') await bare(url, key);
else await live(url, key, Number(devices));
