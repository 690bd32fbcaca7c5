import { CLOUDTOWER_ROUTES } from './dialects/cloudtower.ts';
import { PARADARUM_ROUTES } from './dialects/paradarum.ts';
import { paradarumSwagger } from './dialects/swagger.ts';
import type { RouteDef } from './route.ts';
import {
  deleteUser,
  getAccount,
  getLimits,
  getUsers,
  patchAccount,
  patchUser,
  postResetSecondFactor,
  postUsers,
} from './routes/account.ts';
import { getAudit, getAuditVerify } from './routes/audit.ts';
import {
  getSession,
  postConfirm,
  postEnrol,
  postFirstAccount,
  postLogin,
  postLogout,
  postRecoveryCodes,
  postReplace,
} from './routes/auth.ts';
import { CAMPAIGN_PROGRESS_ROUTES } from './routes/campaign-progress.ts';
import { CAMPAIGN_ROUTES } from './routes/campaigns.ts';
import { getContent, postAck, postClaim } from './routes/claims.ts';
import { DASHBOARD_ROUTES } from './routes/dashboard.ts';
import { DEVICE_ROTATION_ROUTES } from './routes/device-rotation.ts';
import { DEVICE_SELF_ROUTES } from './routes/device-self.ts';
import { getDevices, getFleetDevice, patchDevice, postDevices } from './routes/devices.ts';
import { getEvents } from './routes/events.ts';
import { FIRMWARE_ROUTES } from './routes/firmware.ts';
import { GATEWAY_ROUTES } from './routes/gateway.ts';
import { GATEWAY_DEVICE_ROUTES } from './routes/gateway-devices.ts';
import { getLink, headLink } from './routes/get-link.ts';
import { postIncidents } from './routes/incidents.ts';
import { deleteKey, getKeys, postKeys } from './routes/keys.ts';
import { getMetrics } from './routes/metrics.ts';
import { getPageAsset } from './routes/page-assets.ts';
import { postUpload, putUpload } from './routes/post-upload.ts';
import { RECIPIENT_ROUTES } from './routes/recipients.ts';
import { getHealth, getOpenApi, getReady } from './routes/service.ts';
import { SESSION_ROUTES } from './routes/sessions.ts';
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
import { WEBHOOK_ROUTES } from './routes/webhooks.ts';

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
  getPageAsset,
  ...DASHBOARD_ROUTES,
  getKeys,
  postKeys,
  deleteKey,
  getDevices,
  postDevices,
  getFleetDevice,
  patchDevice,
  ...DEVICE_SELF_ROUTES,
  ...DEVICE_ROTATION_ROUTES,
  ...CAMPAIGN_ROUTES,
  ...CAMPAIGN_PROGRESS_ROUTES,
  postIncidents,
  ...GATEWAY_ROUTES,
  ...GATEWAY_DEVICE_ROUTES,
  ...FIRMWARE_ROUTES,
  ...RECIPIENT_ROUTES,
  getAccount,
  getLimits,
  patchAccount,
  getUsers,
  postUsers,
  patchUser,
  deleteUser,
  postResetSecondFactor,
  postLogin,
  postLogout,
  getSession,
  ...SESSION_ROUTES,
  postFirstAccount,
  postEnrol,
  postReplace,
  postConfirm,
  postRecoveryCodes,
  getAudit,
  getAuditVerify,
  getEvents,
  ...WEBHOOK_ROUTES,
  ...PARADARUM_ROUTES,
  ...CLOUDTOWER_ROUTES,
  paradarumSwagger,
  getHealth,
  getReady,
  getMetrics,
  getOpenApi,
];
