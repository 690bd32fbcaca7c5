/** The dashboard's files as they are served, each plain and compressed beforehand. */
export interface DashboardFiles {
  /** Name of the script a page begins with. */
  script: string;
  style: string;
  files: ReadonlyMap<string, DashboardFile>;
}

export interface DashboardFile {
  type: string;
  plain: Uint8Array;
  brotli: Uint8Array;
  gzip: Uint8Array;
}

/** The smallest form of a file that the client says it reads. */
export function encodedFor(
  file: DashboardFile,
  acceptEncoding: string | undefined,
): { bytes: Uint8Array; encoding: string | null } {
  if (accepts(acceptEncoding, 'br')) return { bytes: file.brotli, encoding: 'br' };
  if (accepts(acceptEncoding, 'gzip')) return { bytes: file.gzip, encoding: 'gzip' };
  return { bytes: file.plain, encoding: null };
}

function accepts(header: string | undefined, coding: string): boolean {
  return (header ?? '').split(',').some((part) => {
    const [name, ...parameters] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
