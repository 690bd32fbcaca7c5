import { redacted } from './redact.ts';

/** One JSON line an event, on standard error. Whatever looks like a secret is cut out before it is written. */
export interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, error: unknown, fields?: Record<string, unknown>): void;
}

export function createLog(write: (line: string) => void = (line) => void process.stderr.write(line)): Log {
  function emit(level: string, message: string, fields: Record<string, unknown>): void {
    write(`${redacted(JSON.stringify({ level, time: new Date().toISOString(), message, ...fields }))}\n`);
  }
  return {
    info: (message, fields = {}) => emit('info', message, fields),
    warn: (message, error, fields = {}) =>
      emit('warn', message, {
        ...fields,
        error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      }),
  };
}
