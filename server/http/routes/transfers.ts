import type { TransferState } from '#sdk/protocol';
import type { TransferId } from '../../domain/ids.ts';
import { listTransfers, ownTransfer, receiptOf } from '../../usecases/transfer/look.ts';
import { reopenTransfer } from '../../usecases/transfer/reopen-transfer.ts';
import { revokeTransfer } from '../../usecases/transfer/revoke-transfer.ts';
import { transferAnswer } from '../../usecases/upload/answers.ts';
import { knownQuery, oneOf, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const STATES: readonly TransferState[] = ['uploading', 'ready', 'claimed', 'burned', 'expired', 'revoked'];
const text = { type: 'string' };

export const getTransfers: RouteDef = {
  method: 'GET',
  path: '/v1/transfers',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listTransfers',
    summary: 'Transfers of the account (of the device, for a device key), newest first',
    parameters: [
      { name: 'state', in: 'query', schema: { enum: STATES } },
      { name: 'device', in: 'query', schema: text },
      { name: 'key', in: 'query', schema: text },
      { name: 'recipient', in: 'query', schema: text },
      ...PAGE_PARAMETERS,
    ],
    responses: { '200': pageResponse('transfers', 'Transfer') },
    errors: ['invalid_field'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['state', 'device', 'key', 'recipient', 'cursor', 'limit']);
    const page = await listTransfers(deps, caller, {
      state: oneOf(query, 'state', STATES),
      deviceId: query.get('device') ?? undefined,
      keyId: query.get('key') ?? undefined,
      recipient: query.get('recipient') ?? undefined,
      ...pageQuery(query),
    });
    return { status: 200, json: page };
  },
};

export const getTransfer: RouteDef = {
  method: 'GET',
  path: '/v1/transfers/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getTransfer',
    summary: 'One transfer: its state and its receipt',
    responses: { '200': jsonResponse('The transfer', 'Transfer') },
    errors: ['not_found'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: receiptOf(deps, await ownTransfer(deps, caller, params.id as TransferId)) };
  },
};

export const deleteTransfer: RouteDef = {
  method: 'DELETE',
  path: '/v1/transfers/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'burnTransfer',
    summary: 'Burn a transfer now, unread',
    responses: { '200': jsonResponse('Its receipt', 'Transfer') },
    errors: ['not_found', 'transfer_ended', 'role_insufficient'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: transferAnswer(deps, await revokeTransfer(deps, caller, params.id as TransferId)) };
  },
};

export const postReopen: RouteDef = {
  method: 'POST',
  path: '/v1/transfers/:id/reopen',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'reopenTransfer',
    summary: 'Let a held transfer be read again',
    responses: { '200': jsonResponse('The transfer', 'Transfer') },
    errors: ['not_found', 'conflict', 'role_insufficient'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: transferAnswer(deps, await reopenTransfer(deps, caller, params.id as TransferId)) };
  },
};
