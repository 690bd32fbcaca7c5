import type { ReadStream } from 'node:fs';
import { Upload } from 'tus-js-client';

/** Sends a file by the unmodified tus-js-client, which retries by itself; resolves with the upload's address. */
export function tusJsUpload(
  file: Buffer | ReadStream,
  options: { endpoint: string; key: string; size: number; chunkBytes?: number },
): Promise<{ location: string; retries: number }> {
  return new Promise((resolve, reject) => {
    let retries = 0;
    const upload = new Upload(file as Buffer, {
      endpoint: options.endpoint,
      headers: { Authorization: `Bearer ${options.key}` },
      metadata: { filename: 'sent by tus-js-client.bin', filetype: 'application/octet-stream' },
      uploadSize: options.size,
      chunkSize: options.chunkBytes ?? Number.POSITIVE_INFINITY,
      // The count starts again whenever bytes were accepted.
      retryDelays: [5, 10, 20, 50, 100, 200, 500, 1_000],
      onShouldRetry: (error, _attempt, settings) => {
        retries++;
        const status = error.originalResponse?.getStatus() ?? 0;
        void settings;
        return status < 400 || status >= 500 || status === 409 || status === 423 || status === 429;
      },
      onError: reject,
      onSuccess: () => resolve({ location: upload.url ?? '', retries }),
    });
    upload.start();
  });
}
