interface Scan {
  add(secret: string, what: string): void;
}

/** Secrets that a kit made. Where the suite scans its logs for secrets, it looks for these as well. */
export class SecretSet extends Set<string> {
  override add(secret: string): this {
    const scan = (globalThis as Record<symbol, Scan | undefined>)[Symbol.for('fuselink secrets')];
    scan?.add(secret, 'a secret of the kit');
    return super.add(secret);
  }
}
