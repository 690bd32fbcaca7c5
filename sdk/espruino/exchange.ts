import type { Fields } from '#sdk/core';
import type { HttpResponse, NativeHttp, Server } from './platform.ts';

declare const $r: (name: 'http') => NativeHttp;
declare const setTimeout: (run: (lost: boolean) => void, ms: number, lost: boolean) => number;
declare const clearTimeout: (timer: number) => void;

/** Silence, or an answer that does not end, is as good as none. */
const PATIENCE_MS = 30000;
/** No answer to a device is longer. */
const ANSWER_CHARS_MAX = 2000;

/**
 * The request that `server` describes. `done` is called once, later, whatever the interpreter does: it throws for refused connections, calls
 * back twice, and never gives up by itself. `status` is '' where there was no answer. Nobody has vouched for any of it.
 */
export function exchange(
  server: Server,
  content: string,
  done: (status: string, headers: Fields, content: string) => void,
): void {
  let response: HttpResponse | undefined;
  let came = '';
  let over = false;
  const end = function (lost: unknown): void {
    if (over) return;
    over = true;
    clearTimeout(timer);
    const fields: Fields = {};
    const told = lost || !response ? { statusCode: '', headers: fields } : response;
    // The names are in whatever case somebody on the way gave them.
    for (const name in told.headers) fields[name.toLowerCase()] = told.headers[name] as string;
    done('' + told.statusCode, fields, came);
  };
  let timer = setTimeout(end, PATIENCE_MS, true);
  try {
    const sending = $r('http')['request'](server, (answer) => {
      response = answer;
      answer.on('data', (piece) => {
        if (came.length < ANSWER_CHARS_MAX) came += piece;
      });
      answer.on('close', end);
    });
    sending.on('error', end);
    sending.end(content);
  } catch (_error) {
    clearTimeout(timer);
    timer = setTimeout(end, 1, true);
  }
}
