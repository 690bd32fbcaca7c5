/** Shorter texts (codes of six digits, names of test accounts) turn up by chance. */
const SECRET_CHARS_MIN = 16;
/** Every place of what was logged is indexed by this many characters. */
const PIECE_CHARS = SECRET_CHARS_MIN;

/** Secrets that a test file made or saw, and everything that was logged meanwhile. */
export class SecretScan {
  readonly #secrets = new Map<string, string>();
  #logged: string[] = [];
  #chars = 0;

  /** `what` is how a finding names the secret: it must not be shown itself. */
  add(secret: string, what: string): void {
    if (secret.length >= SECRET_CHARS_MIN && !this.#secrets.has(secret)) this.#secrets.set(secret, what);
  }

  hear(text: string): void {
    this.#logged.push(text);
    this.#chars += text.length;
  }

  get secrets(): number {
    return this.#secrets.size;
  }

  get chars(): number {
    return this.#chars;
  }

  knows(secret: string): boolean {
    return this.#secrets.has(secret);
  }

  /** Which secrets stand in the log, as they are or percent-encoded: what each is, and the line it stands in, cut. */
  leaks(): string[] {
    const everything = this.#logged.join('');
    const pieces = new Set<string>();
    for (let at = 0; at + PIECE_CHARS <= everything.length; at++) pieces.add(everything.slice(at, at + PIECE_CHARS));
    const found: string[] = [];
    for (const [secret, what] of this.#secrets) {
      for (const form of new Set([secret, encodeURIComponent(secret)])) {
        if (!pieces.has(form.slice(0, PIECE_CHARS))) continue;
        const at = everything.indexOf(form);
        if (at < 0) continue;
        const line = everything.slice(everything.lastIndexOf('\n', at) + 1, at);
        found.push(`${what} that begins ${secret.slice(0, 4)}, behind "${line.slice(-120)}"`);
      }
    }
    return found;
  }

  /** For the scan's own test: takes the planted lines out again. */
  forgetLog(): void {
    this.#logged = [];
  }
}
