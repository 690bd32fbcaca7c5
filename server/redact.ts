/**
 * Cuts out of a text what must never be logged: links and upload Locations (their token), API keys, JWTs, Bearer
 * values. The last line of defence; nothing of the kind should get this far.
 */
export function redacted(text: string): string {
  return text
    .replace(/(\/get\/|\/v1\/uploads\/)[\w-]{20,}/g, '$1[redacted]')
    .replace(/\bBearer\s+[^\s"\\]+/gi, 'Bearer [redacted]')
    .replace(/\bpdm_[A-Za-z0-9!@#$%&*]{28}/g, 'pdm_[redacted]')
    .replace(/\bey[\w-]{8,}\.[\w-]+\.[\w-]+/g, '[redacted token]')
    .replace(/\b[0-9a-fA-F]{64}\b/g, '[redacted 64 hex]');
}
