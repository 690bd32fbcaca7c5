import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DevicePosition, HEADER_NONCE, SIGNED_BODY_BYTES_MAX } from '#sdk/protocol';
import type { CredentialHeaders } from '../domain/credential/credential-header.ts';
import { isSigned, readSignature } from '../domain/credential/signature-header.ts';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { FuselinkError } from '../usecases/error.ts';
import { admitSigned, type ProvenRequest, proveSignature } from '../usecases/signed-request/authenticate-signed.ts';
import { newNonce } from '../usecases/signed-request/nonces.ts';
import { signAnswer } from '../usecases/signed-request/sign-answer.ts';
import { oneHeader } from './body/header-text.ts';
import { readWhole } from './body/request-body.ts';
import { admitting } from './continue.ts';
import type { RouteDef } from './route.ts';

/** A signed request on its way: what its answer is signed with, as far as it is known. */
export interface Signing {
  /** Whom the next nonce is for; null where not even that could be read. */
  keyId: string | null;
  /** Null until the signature is found good: an answer to anybody else is not signed. */
  proven: ProvenRequest | null;
}

/** Whether the request names itself by a signature. Throws `credentials_ambiguous` where it also does so in another way. */
export function startSigning(req: IncomingMessage, others: CredentialHeaders): Signing | null {
  const input = oneHeader(req.headers['signature-input']);
  const other = [others.authorization, others.xApiKey, others.sessionCookie].some((said) => said !== undefined);
  const any = input !== undefined || req.headers.signature !== undefined;
  if (!any || (other && !isSigned(input))) return null;
  if (other) {
    throw new FuselinkError('credentials_ambiguous', 'A signature and another credential were sent: send exactly one.');
  }
  return { keyId: null, proven: null };
}

/**
 * The caller of a signed request. Notes in `signing`, step by step, what the answer is to be signed with, so that a
 * refusal of a later step is signed as well.
 */
export async function signedCaller(
  deps: Deps,
  signing: Signing,
  request: {
    req: IncomingMessage;
    res: ServerResponse;
    route: RouteDef;
    from: string;
    position: DevicePosition | null;
  },
): Promise<Caller> {
  const { req, res, route, from, position } = request;
  const said = readSignature({ method: req.method ?? '', target: req.url ?? '', fields: req.rawHeaders });
  signing.keyId = said.ok ? said.signature.keyId : said.keyId;
  const proven = await proveSignature(deps, said);
  signing.proven = proven;
  if (route.signed !== true) {
    throw new FuselinkError(
      'signature_unsupported',
      'This call takes no signed requests: they are for uploads and the device’s own calls.',
    );
  }
  return admitSigned(deps, proven, {
    from,
    position,
    readBody() {
      admitting({ req, res }).admitted();
      return readWhole(req, SIGNED_BODY_BYTES_MAX);
    },
  });
}

/** Adds the next nonce and the signature to an answer whose other fields are set and whose body is `body`. */
export function setSignature(
  deps: Deps,
  signing: Signing,
  answer: { res: ServerResponse; status: number; body: string },
): void {
  const { res, status, body } = answer;
  if (signing.keyId === null) return;
  res.setHeader(HEADER_NONCE, newNonce(deps, signing.keyId));
  if (signing.proven === null) return;
  const fields = signAnswer(deps, signing.proven, {
    status,
    body: Buffer.from(body),
    field: (name) => (res.hasHeader(name) ? String(res.getHeader(name)) : null),
  });
  for (const [name, value] of Object.entries(fields)) res.setHeader(name, value);
}
