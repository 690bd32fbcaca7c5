import type { RouteDef } from './route.ts';
import { getContent, postAck, postClaim } from './routes/claims.ts';
import { getDevices, postDevices } from './routes/devices.ts';
import { getLink, headLink } from './routes/get-link.ts';
import { deleteKey, getKeys, postKeys } from './routes/keys.ts';
import { postUpload, putUpload } from './routes/post-upload.ts';
import { getHealth, getOpenApi, getReady } from './routes/service.ts';
import { deleteTransfer, getTransfer, getTransfers, postReopen } from './routes/transfers.ts';
import {
  deleteUpload,
  headUpload,
  optionsUpload,
  optionsUploads,
  patchUpload,
  postUploadOverride,
  postUploads,
} from './routes/uploads.ts';

/** Every endpoint there is. The router, the OpenAPI document and the security battery are made from this list. */
export const ROUTES: readonly RouteDef[] = [
  postUpload,
  putUpload,
  optionsUploads,
  postUploads,
  optionsUpload,
  headUpload,
  patchUpload,
  postUploadOverride,
  deleteUpload,
  headLink,
  getLink,
  postClaim,
  getContent,
  postAck,
  getTransfers,
  getTransfer,
  deleteTransfer,
  postReopen,
  getKeys,
  postKeys,
  deleteKey,
  getDevices,
  postDevices,
  getHealth,
  getReady,
  getOpenApi,
];
