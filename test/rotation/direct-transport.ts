import { formatRotationTold, HEADER_DEVICE, HEADER_ROTATION, parseDevicePosition } from '#sdk/protocol';
import type { Deps } from '#server';
import type { Transport } from '../../sdk/node/http/transport.ts';
import { readCredential } from '../../server/domain/credential/credential-header.ts';
import type { DeviceId } from '../../server/domain/ids.ts';
import { asFuselinkError, problemAnswer } from '../../server/http/problem.ts';
import { type Caller, refuseQuarantined } from '../../server/usecases/caller.ts';
import { authenticate } from '../../server/usecases/key/authenticate.ts';
import { afterDeviceRequest } from '../../server/usecases/rotation/hear.ts';
import { recoverDevice } from '../../server/usecases/rotation/recover.ts';
import { offerKey, registerKey } from '../../server/usecases/rotation/register.ts';
import { ownDevice, reportStatus } from '../../server/usecases/rotation/report.ts';
import { receiveUpload } from '../../server/usecases/upload/receive-upload.ts';
import { Crash, type VirtualServer } from './node.ts';

type HttpRequest = Parameters<Transport['exchange']>[0];
type HttpAnswer = Awaited<ReturnType<Transport['exchange']>>;

/** A device's requests, taken to the server's use cases as its HTTP would, with nothing in between. */
export function directTransport(server: VirtualServer): Transport {
  return {
    async exchange(request) {
      const answer = await server.on((deps) => serve(deps, request));
      if (answer === null) throw new Error('no answer came');
      return answer;
    },
    open: () => Promise.reject(new Error('expected no reading in these tests')),
    close: () => {},
  };
}

async function serve(deps: Deps, request: HttpRequest): Promise<HttpAnswer> {
  let caller: Caller | null = null;
  let status = 200;
  let json: unknown;
  let headers: Record<string, unknown> = {};
  try {
    const { pathname } = request.url;
    if (pathname !== '/v1/device/recovery') caller = await identify(deps, request);
    if (caller !== null && !pathname.startsWith('/v1/device')) refuseQuarantined(caller);
    json = await handle(deps, caller, request);
    if (pathname === '/v1/upload') status = 201;
  } catch (error) {
    if (error instanceof Crash) throw error;
    const problem = problemAnswer(asFuselinkError(error));
    ({ status } = problem);
    json = JSON.parse(problem.text ?? 'null');
    headers = { ...problem.headers };
  }
  if (caller !== null) {
    const told = formatRotationTold(await afterDeviceRequest(deps, caller));
    if (told !== '') headers[HEADER_ROTATION] = told;
  }
  return { status, headers, body: Buffer.from(JSON.stringify(json ?? null)) } as HttpAnswer;
}

function identify(deps: Deps, { headers = {} }: HttpRequest): Promise<Caller> {
  const of = (name: string) => Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const said = readCredential({ authorization: of('authorization'), xApiKey: undefined, sessionCookie: undefined });
  return authenticate(deps, said, 'virtual', parseDevicePosition(of(HEADER_DEVICE) ?? ''));
}

/** What a device's calls say; each says some of it. */
interface Said {
  generation: number;
  sha256: string;
  fingerprint: string;
  offer?: boolean;
  device_id: DeviceId;
  base: string;
  proof: string;
  phase: string;
  boot: number;
  sequence: number;
  boot_tag: string;
}

async function handle(deps: Deps, caller: Caller | null, request: HttpRequest): Promise<unknown> {
  const path = request.url.pathname;
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
  if (path === '/v1/upload') return upload(deps, caller as Caller, body);
  if (path === '/v1/device') return ownDevice(deps, caller as Caller);
  const said = JSON.parse(Buffer.from(body).toString()) as Said;
  const { generation, sha256, fingerprint } = said;
  if (path === '/v1/device/status') {
    const { phase, boot, sequence, boot_tag: bootTag } = said;
    return reportStatus(deps, caller as Caller, { phase, generation, boot, sequence, bootTag });
  }
  if (path === '/v1/device/recovery') {
    const { device_id: deviceId, base, proof } = said;
    return recoverDevice(deps, { deviceId, generation, base, sha256, fingerprint, proof }, 'virtual');
  }
  if (said.offer === true) return offerKey(deps, caller as Caller, generation);
  return registerKey(deps, caller as Caller, { generation, sha256, fingerprint });
}

async function upload(deps: Deps, caller: Caller, body: Uint8Array): Promise<unknown> {
  const fields = { filename: 'r' };
  const { row } = await receiveUpload(deps, caller, {
    bytes: body.byteLength,
    bytesHint: body.byteLength,
    fieldsBefore: fields,
    body: (async function* () {
      yield body;
    })(),
    fieldsAfter: () => fields,
    idempotencyKey: undefined,
    announcedSha256: null,
    admitted() {},
    patience: () => Promise.resolve(),
  });
  return { id: row.id };
}
