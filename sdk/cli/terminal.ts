/** Where a command reads and writes. Tests pass their own. */
export interface Terminal {
  stdin: NodeJS.ReadableStream;
  /** `taken` is called when whoever reads has it, or with why not. */
  stdout: { write(text: string | Uint8Array, taken?: (error?: Error | null) => void): unknown };
  stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number };
  env: NodeJS.ProcessEnv;
  /** Aborts on SIGINT and SIGTERM. */
  signal: AbortSignal;
  nowMs(): number;
  /** Called now and then by what runs for long: a moment to give memory back. */
  tidy?: () => void;
}

const UNITS = ['B', 'KB', 'MB', 'GB'];

/** 1536 → `1.5 KB`: powers of 1000, as file managers and networks count. */
export function showBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** 95,000 ms → `1:35`. */
export function showDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const rest = String(seconds % 60).padStart(2, '0');
  return minutes < 60
    ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${rest}`;
}

/** Text from elsewhere (file names, server details) without what would steer a terminal. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** What the bar shows: pure, so that a test can read it. `rate` in bytes per second, 0 when not known yet. */
export function barText(
  label: string,
  done: { bytes: number; sizeBytes: number | null },
  rate: number,
  columns: number,
): string {
  const speed = rate > 0 ? `${showBytes(rate)}/s` : '';
  if (done.sizeBytes === null || done.sizeBytes === 0)
    return `${label} ${showBytes(done.bytes)} ${speed}`.slice(0, columns - 1);
  const share = Math.min(1, done.bytes / done.sizeBytes);
  const left = rate > 0 ? showDuration(((done.sizeBytes - done.bytes) / rate) * 1000) : '';
  const figures = `${String(Math.floor(share * 100)).padStart(3)} % ${showBytes(done.bytes)} of ${showBytes(done.sizeBytes)} ${speed} ${left}`;
  const width = Math.max(0, Math.min(30, columns - figures.length - 24));
  const filled = Math.round(share * width);
  const bar = width >= 5 ? `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ` : '';
  const name = label.length > 20 ? `${label.slice(0, 19)}~` : label.padEnd(20);
  return `${name} ${bar}${figures}`.slice(0, Math.max(1, columns - 1)).trimEnd();
}

const REDRAW_MS = 100;

export interface ProgressBar {
  update(label: string, done: { bytes: number; sizeBytes: number | null }): void;
  /** A line of text above the bar (or just a line, where there is no bar). */
  line(text: string): void;
  clear(): void;
}

/** A bar on a terminal, nothing anywhere else. */
export function progressBar(terminal: Terminal): ProgressBar {
  const { stderr } = terminal;
  let drawn = false;
  let lastMs = Number.NEGATIVE_INFINITY;
  let began: { label: string; atMs: number; bytes: number } | null = null;
  const clear = () => {
    if (drawn) stderr.write('\r\u001b[K');
    drawn = false;
  };
  return {
    update(label, done) {
      if (!stderr.isTTY) return;
      const now = terminal.nowMs();
      if (began === null || began.label !== label) began = { label, atMs: now, bytes: done.bytes };
      if (now - lastMs < REDRAW_MS && done.bytes !== done.sizeBytes) return;
      lastMs = now;
      const seconds = (now - began.atMs) / 1000;
      const rate = seconds > 0.5 ? (done.bytes - began.bytes) / seconds : 0;
      stderr.write(`\r${barText(plain(label), done, rate, stderr.columns ?? 80)}\u001b[K`);
      drawn = true;
    },
    line(text) {
      clear();
      stderr.write(`${plain(text)}\n`);
    },
    clear,
  };
}
