/**
 * ESP-IDF's NVS error codes (nvs.h, `ESP_ERR_NVS_BASE` 0x1100), so that a device's log reads the same whether the
 * store below is real NVS, two flash pages or a file.
 */
export const NVS_NOT_FOUND = 0x1102;
export const NVS_READ_ONLY = 0x1104;
export const NVS_NOT_ENOUGH_SPACE = 0x1105;
export const NVS_INVALID_NAME = 0x1106;
export const NVS_INVALID_HANDLE = 0x1107;
export const NVS_KEY_TOO_LONG = 0x1109;
export const NVS_INVALID_STATE = 0x110b;
export const NVS_INVALID_LENGTH = 0x110c;
export const NVS_NO_FREE_PAGES = 0x110d;
export const NVS_VALUE_TOO_LONG = 0x110e;

/** A store's refusal. `code` is one of the constants above; the message never holds a value that was stored. */
export type NvsError = Error & { code: number };

/** Made by a factory, not a class: subclasses of Error do not work on Espruino. */
export function nvsError(code: number, message: string): NvsError {
  const error = new Error('NVS 0x' + code.toString(16) + ': ' + message) as NvsError;
  error.code = code;
  return error;
}
