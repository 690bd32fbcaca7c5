import type { Fields, SlotRecord } from '#sdk/core';
import type { HttpResponse, NativeHttp } from './platform.ts';
import { server } from './server.ts';
import { vouch } from './signed.ts';

declare const $r: (name: 'http') => NativeHttp;
declare const setTimeout: (run: (lost: boolean) => void, ms: number, lost: boolean) => number;
declare const clearTimeout: (timer: number) => void;

/** Silence, or an answer that does not end, is as good as none. */
const PATIENCE_MS = 30000;
/** No answer to a device is longer. */
const ANSWER_CHARS_MAX = 2000;

/**
 * The request that `server` describes, once it is signed under this key. `done` is called once, later, whatever the interpreter does: it
 * throws for refused connections and where memory ends, calls back twice, and never gives up by itself. `status` is '0' where
 * there was no answer. Nobody has vouched for any of it.
 */
export function exchange(key: SlotRecord, done: (status: string, headers: Fields, content: string) => void): void {
  let response: HttpResponse | undefined;
  let came = '';
  const end = function (lost: unknown): void {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    const told = lost || !response ? { statusCode: 0, headers: {} as Fields } : response;
    // The names are in whatever case somebody on the way gave them.
    for (const name in told.headers) told.headers[name.toLowerCase()] = told.headers[name] as string;
    done('' + told.statusCode, told.headers, came);
  };
  let timer = setTimeout(end, PATIENCE_MS, true);
  try {
    vouch(key, '', server.headers, server.content);
    const sending = $r('http')['request'](server, (answer) => {
      response = answer;
      answer.on('data', (piece) => {
        if (came.length < ANSWER_CHARS_MAX) came += piece;
      });
      answer.on('close', end);
    });
    sending.on('error', end);
    sending.end(server.content);
    // On their way as text: they would lie here twice.
    server.headers = {};
    server.content = '';
  } catch (_error) {
    clearTimeout(timer);
    timer = setTimeout(end, 1, true);
  }
}
