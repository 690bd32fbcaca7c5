import { lookup } from 'node:dns/promises';
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import type { Transport } from '#sdk/node';
import {
  apiUrl,
  createTransport,
  credentialFolder,
  defaultStateFolder,
  FuselinkError,
  openCredentialSlots,
  parseServerUrl,
  problemOf,
  proxyFor,
  storedKey,
} from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT } from '../exit-codes.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, givenKey, SERVER_OPTIONS, serverUrl } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { plain, showBytes } from '../terminal.ts';

const SILENCE_MS = 10_000;
/** A clock further off than this makes certificates and times of readings doubtful. */
const CLOCK_MS_MAX = 120_000;
/** What a proxy in front of the server should let through at once; the SDK sends smaller pieces where it does not. */
const BODY_PROBE_BYTES = 2_097_152;
const FREE_BYTES_WANTED = 104_857_600;

interface Finding {
  check: string;
  state: 'ok' | 'warn' | 'fail';
  detail: string;
  /** What to do about it. */
  mend?: string;
}

const text = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function checkName(url: URL, proxied: boolean): Promise<Finding> {
  const check = 'name';
  if (proxied) return { check, state: 'ok', detail: 'the proxy resolves it' };
  try {
    const { address } = await lookup(url.hostname.replace(/^\[|\]$/g, ''));
    return { check, state: 'ok', detail: `${url.hostname} is ${address}` };
  } catch (error) {
    return {
      check,
      state: 'fail',
      detail: text(error),
      mend: 'check the name in --url and the DNS server of this machine',
    };
  }
}

const MENDS: Record<string, string> = {
  tls_untrusted: 'give the issuer’s certificate with --ca, and check this machine’s clock',
  proxy_refused: 'check user and password in the proxy’s URL, and whether it may reach the server',
  unreachable: 'check that the server runs there and that no firewall is between',
  silent: 'something takes the connection and says nothing: check port, firewall and proxy',
};

/** One look at the server: reachable, TLS, and the difference of the clocks. */
async function checkServer(transport: Transport, base: URL): Promise<Finding[]> {
  const before = Date.now();
  try {
    const answer = await transport.exchange({ method: 'GET', url: apiUrl(base, '/healthz'), headers: {} });
    const secure = base.protocol === 'https:' ? 'by TLS' : 'without TLS';
    const healthy = answer.status === 200;
    const findings: Finding[] = [
      healthy
        ? { check: 'server', state: 'ok', detail: `answers ${secure} in ${Date.now() - before} ms` }
        : {
            check: 'server',
            state: 'fail',
            detail: `/healthz answers ${answer.status}`,
            mend: 'is this a Fuselink server, and the right path?',
          },
    ];
    if (base.protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(base.hostname)) {
      const mend = 'use https: on this path everybody in between can read keys and files';
      findings.push({ check: 'encryption', state: 'warn', detail: 'http to another machine', mend });
    }
    const date = Date.parse(String(answer.headers.date ?? ''));
    if (!Number.isNaN(date)) findings.push(clockFinding(date - (before + Date.now()) / 2));
    return findings;
  } catch (error) {
    const code = error instanceof FuselinkError ? error.code : '';
    const mend = MENDS[code] ?? 'try again; if it stays, look at the server’s log';
    return [{ check: 'server', state: 'fail', detail: text(error), mend }];
  }
}

function clockFinding(aheadMs: number): Finding {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  if (Math.abs(aheadMs) <= CLOCK_MS_MAX)
    return { check: 'clock', state: 'ok', detail: `within ${seconds + 1} s of the server’s` };
  const detail = `${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead of'} the server’s`;
  return {
    check: 'clock',
    state: 'warn',
    detail,
    mend: 'set it (NTP): certificates and times of readings depend on it',
  };
}

/** Whether something before the server refuses larger bodies. Asked without a key, so that nothing is stored. */
async function checkBodies(transport: Transport, base: URL): Promise<Finding> {
  const check = 'bodies';
  const size = showBytes(BODY_PROBE_BYTES);
  try {
    const headers = { 'Content-Type': 'application/octet-stream' };
    const body = Buffer.alloc(BODY_PROBE_BYTES);
    const answer = await transport.exchange({ method: 'POST', url: apiUrl(base, '/v1/upload'), headers, body });
    const { code } = problemOf(answer);
    if (code === null && answer.status === 413) {
      const mend = 'raise its limit (nginx: client_max_body_size 0); until then files go in smaller pieces';
      return { check, state: 'warn', detail: `a proxy refuses ${size} at once`, mend };
    }
    if (code === null) {
      const mend = 'something before the server answers in its place: check the proxy';
      return { check, state: 'warn', detail: `an upload is answered ${answer.status} without the server’s form`, mend };
    }
    return { check, state: 'ok', detail: `${size} at once reach the server` };
  } catch {
    // A server that refuses before it has read all may close under our writing; then it was the server.
    return { check, state: 'ok', detail: 'the server refused before the whole body, as it should' };
  }
}

async function checkKey(transport: Transport, base: URL, key: string): Promise<Finding> {
  const check = 'key';
  try {
    const headers = { Authorization: `Bearer ${key}` };
    const answer = await transport.exchange({ method: 'GET', url: apiUrl(base, '/v1/transfers?limit=1'), headers });
    if (answer.status >= 200 && answer.status < 300) return { check, state: 'ok', detail: 'the server accepts it' };
    const { code, detail } = problemOf(answer);
    // A device key may be allowed to send and not to list: that it is known is what was asked.
    if (answer.status === 403) return { check, state: 'ok', detail: 'the server knows it' };
    const mend =
      code === 'key_revoked'
        ? 'it was revoked: `fuselink key import --replace` with a new one'
        : 'check the key and the server it is for';
    return { check, state: 'fail', detail: plain(detail), mend };
  } catch (error) {
    return { check, state: 'fail', detail: text(error), mend: 'first mend the connection' };
  }
}

function findKey(parsed: Parsed, terminal: Terminal): { key: string | null; findings: Finding[] } {
  const given = givenKey(parsed, terminal);
  if (given !== undefined)
    return { key: given, findings: [{ check: 'credentials', state: 'ok', detail: 'a key is given' }] };
  const folder = credentialFolder(terminal.env);
  try {
    const key = storedKey(folder);
    const { mirrored, state } = openCredentialSlots(folder).look();
    const detail = `${folder}: ${state}${mirrored || state !== 'settled' ? '' : ', one slot of two'}`;
    return { key, findings: [{ check: 'credentials', state: 'ok', detail }] };
  } catch (error) {
    // A file that is there and refused says itself what to change: another key would not be kept any better.
    const mend =
      error instanceof FuselinkError && error.code === 'key_missing'
        ? '`fuselink key import`, FUSELINK_KEY or --key-file'
        : 'mend the store as it says, or give the key with --key-file until then';
    return { key: null, findings: [{ check: 'credentials', state: 'fail', detail: text(error), mend }] };
  }
}

export function diskFinding(folder: string, freeBytes: number): Finding {
  const check = 'disk';
  const free = showBytes(freeBytes);
  if (freeBytes >= FREE_BYTES_WANTED) return { check, state: 'ok', detail: `${folder}: ${free} free` };
  const mend = 'make room: readings wait there while the server is away';
  return { check, state: 'warn', detail: `${folder}: only ${free} free`, mend };
}

async function checkDisk(terminal: Terminal): Promise<Finding> {
  const check = 'disk';
  const folder = defaultStateFolder(terminal.env);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    return diskFinding(folder, bavail * bsize);
  } catch (error) {
    return {
      check,
      state: 'fail',
      detail: text(error),
      mend: 'make the folder writable, or set FUSELINK_STATE to one that is',
    };
  }
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const base = parseServerUrl(serverUrl(parsed, terminal));
  const { ca, proxy } = connectionOf(parsed, terminal);
  const transport = createTransport({
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    silenceMs: SILENCE_MS,
  });
  const through = proxyFor(base, proxy, terminal.env);
  const findings: Finding[] = [await checkName(base, through !== null)];
  if (through !== null)
    findings.push({ check: 'proxy', state: 'ok', detail: `through ${through.host}:${through.port}` });
  try {
    findings.push(...(await checkServer(transport, base)));
    const reachable = findings.some(({ check, state }) => check === 'server' && state === 'ok');
    if (reachable) findings.push(await checkBodies(transport, base));
    const { key, findings: credentials } = findKey(parsed, terminal);
    findings.push(...credentials);
    if (reachable && key !== null) findings.push(await checkKey(transport, base, key));
    findings.push(await checkDisk(terminal));
  } finally {
    transport.close();
  }
  for (const finding of findings) {
    if (parsed.values['json'] === true) terminal.stdout.write(`${JSON.stringify(finding)}\n`);
    else {
      terminal.stdout.write(`${finding.state.padEnd(4)}  ${finding.check.padEnd(11)}  ${plain(finding.detail)}\n`);
      if (finding.mend !== undefined) terminal.stdout.write(`${' '.repeat(19)}-> ${finding.mend}\n`);
    }
  }
  return findings.some(({ state }) => state === 'fail') ? EXIT.failed.code : EXIT.ok.code;
}

export const doctor: Command = {
  name: 'doctor',
  words: '',
  summary: 'Check name, TLS, clock, proxy, key and disk; say what is wrong and how to mend it.',
  options: {
    ...SERVER_OPTIONS,
    ca: CONNECTION_OPTIONS.ca,
    proxy: CONNECTION_OPTIONS.proxy,
    json: CONNECTION_OPTIONS.json,
  },
  details: [
    'Exit 0 when nothing stands in the way of sending, 1 otherwise. Sends no file and changes nothing on the server.',
  ],
  run,
};
