/*
 * What Espruino has, as far as this SDK uses it. `$r` is `require` and `$x` is `exports`: the build's banner names them so,
 * because esbuild's own handling of modules is more than the interpreter can run.
 */

/** `require("Flash")`: raw pages of NOR flash by absolute address. */
export interface NativeFlash {
  erasePage(address: number): void;
  write(words: Uint8Array, address: number): void;
  read(length: number, address: number): Uint8Array;
  getPage(address: number): { addr: number; length: number };
  /** Areas that the firmware does not use. */
  getFree(): { addr: number; length: number }[];
}

/** `require("crypto")`. SHA-256 in one call, AES in ECB; there is no HMAC. */
export interface NativeCrypto {
  SHA256(bytes: Uint8Array | string): ArrayBuffer;
  AES: { decrypt(data: Uint8Array, key: Uint8Array, options: { mode: 'ECB' }): ArrayBuffer };
}

/** `E`. */
export interface NativeE {
  /** CRC-32 as in zlib. */
  CRC32(bytes: Uint8Array): number;
  /** One behind the other; a character is a byte. */
  toUint8Array(...parts: (Uint8Array | string)[]): Uint8Array;
  /** A character a byte. */
  toString(bytes: Uint8Array): string;
  hwRand(): number;
}

/** `require("http")`, which has neither time-outs nor aborts. */
export interface NativeHttp {
  request(options: Server, answered: (response: HttpResponse) => void): HttpRequest;
}

export interface HttpRequest {
  on(event: 'error', heard: (error: unknown) => void): void;
  end(body: string): void;
}

export interface HttpResponse {
  /** A text of digits. */
  statusCode: string | number;
  headers: { [name: string]: string };
  on(event: 'data', heard: (piece: string) => void): void;
  /** `hadError`: the connection broke. */
  on(event: 'close', heard: (hadError: unknown) => void): void;
}

/** What `connect` is given, and what `http.request` takes all it needs from. */
export interface Server {
  host: string;
  port: number;
  /** The device's id, as the server gave it. */
  device: string;
  /** The device's first key, 64 hex characters: taken where flash holds none, and never again. */
  key?: string;
  /** Address of two flash pages that the firmware leaves alone; the last two free ones unless given. */
  flash?: number;
  /** `https:` hides from onlookers what is sent; whom it is sent to it does not prove: Espruino verifies no certificate. */
  protocol?: string | undefined;
  /** Of the request that is being made; the last two are for this SDK alone. */
  method: string;
  path: string;
  headers: { [name: string]: string };
  content: string;
  nonce: string;
}

/** An array, as far as the interpreter has more of it than the language of 2009. */
export interface Findable<Item> {
  find(fits: (item: Item | null) => unknown): Item | undefined;
}
