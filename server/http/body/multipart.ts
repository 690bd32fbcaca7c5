import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { UPLOAD_FIELDS, type UploadFieldName, type UploadFields } from '../../domain/upload/upload-options.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { checkedFields } from '../../usecases/upload/checks.ts';
import type { UploadSource } from '../../usecases/upload/receive-upload.ts';
import { announcedBytes, requestBytes } from './request-body.ts';

/** A form has one file and a handful of short fields; more is a mistake or an attack. */
const FIELDS_MAX = 32;
const FIELD_BYTES_MAX = 8_192;
const HEADER_PAIRS_MAX = 32;
/** What boundaries, part headers and fields may add to the file's own size. */
const OVERHEAD_BYTES_MAX = 1_048_576;

interface MultipartContext {
  fields: UploadFields;
  bytesMax: number;
  idempotencyKey: string | undefined;
  announcedSha256: string | null;
  admitted(): void;
  patience(): Promise<void>;
}

/**
 * A `multipart/form-data` upload: one part named `file`, and fields in any order, also behind it. Resolves as soon as
 * the file begins. Its `body` ends only when the whole form has been read and found in order.
 */
export async function openMultipart(req: IncomingMessage, context: MultipartContext): Promise<UploadSource> {
  const length = announcedBytes(req);
  if (length !== null && length > context.bytesMax + OVERHEAD_BYTES_MAX) {
    throw new FuselinkError(
      'payload_too_large',
      `Expected at most ${context.bytesMax} bytes, got a form of ${length}.`,
    );
  }
  const form = new FormReader(req, context.fields, context.bytesMax + OVERHEAD_BYTES_MAX);
  return {
    bytes: null,
    bytesHint: length,
    idempotencyKey: context.idempotencyKey,
    announcedSha256: context.announcedSha256,
    // With `Expect: 100-continue` not a byte of the form comes before admission, so its fields cannot be known before.
    fieldsBefore: context.fields,
    fieldsAfter: () => form.fields,
    body: form,
    admitted: context.admitted,
    patience: context.patience,
  };
}

class FormReader implements AsyncIterable<Uint8Array> {
  readonly fields: UploadFields;
  readonly #body: AsyncIterableIterator<Uint8Array>;
  readonly #bytesMax: number;
  readonly #headers: IncomingMessage['headers'];
  /** Fields said in the form itself: each may be said once, and overrides the header of its name. */
  readonly #said = new Set<UploadFieldName>();
  #error: FuselinkError | null = null;
  #file: BusboyFileStream | null = null;
  #wake: () => void = () => {};

  constructor(req: IncomingMessage, fields: UploadFields, bytesMax: number) {
    this.#body = requestBytes(req);
    this.#headers = req.headers;
    this.#bytesMax = bytesMax;
    this.fields = { ...fields };
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const bytes = this.#fileBytes();
    return {
      next: () => bytes.next(),
      // The generator may be waiting for a byte that never comes: it is woken with an error instead of asked to stop.
      return: async () => {
        this.#fail(new FuselinkError('invalid_body', 'The upload was given up.'));
        return { done: true, value: undefined };
      },
    };
  }

  /** The file's bytes, then silently the rest of the form; throws whatever was wrong with any of it. */
  async *#fileBytes(): AsyncGenerator<Uint8Array, void, void> {
    const parser = this.#parser();
    let parsed = false;
    parser.on('finish', () => {
      parsed = true;
      this.#wake();
    });
    const pumping = this.#pump(parser).catch((error) => this.#fail(error));

    while (this.#file === null && !parsed && this.#error === null) await this.#woken();
    if (this.#file !== null && this.#error === null) {
      // What stands before the file is checked before its first byte is kept.
      this.#checkEarly();
      const file: Readable = this.#file;
      try {
        for await (const chunk of file.iterator({ destroyOnReturn: false })) {
          if (this.#error !== null) break;
          yield chunk as Buffer;
        }
      } catch (error) {
        this.#fail(error);
      }
    }
    while (!parsed && this.#error === null) await this.#woken();
    if (this.#error !== null) throw this.#error;
    await pumping;
    if (this.#file === null) {
      throw new FuselinkError(
        'file_missing',
        'Expected a part named "file" with a filename (curl -F "file=@path"), got a form without one.',
      );
    }
  }

  #checkEarly(): void {
    try {
      checkedFields(this.fields);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #fail(error: unknown): void {
    this.#error ??=
      error instanceof FuselinkError
        ? error
        : new FuselinkError(
            'invalid_body',
            `Expected a whole multipart/form-data body, got one that is malformed or cut (${messageOf(error)}).`,
          );
    void this.#body.return?.();
    this.#file?.destroy();
    this.#wake();
  }

  async #pump(parser: InstanceType<typeof Busboy>): Promise<void> {
    let bytes = 0;
    for await (const chunk of this.#body) {
      if (this.#error !== null) return;
      bytes += chunk.length;
      if (bytes > this.#bytesMax) {
        throw new FuselinkError('payload_too_large', `Expected a form of at most ${this.#bytesMax} bytes, got more.`);
      }
      if (!parser.write(chunk)) await drained(parser, () => this.#error !== null);
    }
    if (this.#error === null) parser.end();
  }

  #parser(): InstanceType<typeof Busboy> {
    let parser: InstanceType<typeof Busboy>;
    try {
      parser = new Busboy({
        headers: this.#headers as { 'content-type': string },
        preservePath: true,
        isPartAFile: (name, _type, filename) => filename !== undefined || name === 'file',
        limits: {
          fields: FIELDS_MAX,
          fieldSize: FIELD_BYTES_MAX,
          headerPairs: HEADER_PAIRS_MAX,
          fieldNameSize: 100,
          files: 2,
        },
      });
    } catch (error) {
      throw new FuselinkError(
        'invalid_body',
        `Content-Type: expected multipart/form-data with a boundary, got another (${messageOf(error)}).`,
      );
    }
    parser.on('error', (error) => this.#fail(error));
    parser.on('file', (name, stream, filename, _encoding, type) => this.#onFile(name, stream, filename, type));
    parser.on('field', (name, value, nameCut, valueCut) => this.#onField(name, value, nameCut || valueCut));
    parser.on('fieldsLimit', () =>
      this.#fail(new FuselinkError('invalid_body', `Expected at most ${FIELDS_MAX} fields, got more.`)),
    );
    return parser;
  }

  #onFile(name: string, stream: BusboyFileStream, filename: string | undefined, type: string): void {
    if (name !== 'file' || this.#file !== null) {
      stream.on('error', () => {});
      stream.resume();
      this.#fail(
        name === 'file'
          ? new FuselinkError('file_repeated', 'Expected one part named "file", got two: send one file an upload.')
          : new FuselinkError(
              'file_missing',
              `Expected the file in a part named "file", got a part named "${shortened(name)}".`,
            ),
      );
      return;
    }
    if (filename !== undefined && filename !== '') this.fields.filename ??= unescapedName(filename);
    if (type !== '') this.fields.content_type ??= type;
    this.#file = stream;
    this.#wake();
  }

  #onField(name: string, value: string, cut: boolean): void {
    const field = UPLOAD_FIELDS.find((known) => known === name);
    if (field === undefined) {
      const known: readonly UploadFieldName[] = UPLOAD_FIELDS;
      this.#fail(
        new FuselinkError('invalid_field', `Expected the fields file, ${known.join(', ')}; got "${shortened(name)}".`, {
          errors: [{ field: shortened(name), detail: 'expected one of the known fields, got an unknown one' }],
        }),
      );
    } else if (cut) {
      this.#fail(new FuselinkError('invalid_field', `${field}: expected at most ${FIELD_BYTES_MAX} bytes, got more.`));
    } else if (this.#said.has(field)) {
      this.#fail(
        new FuselinkError('invalid_field', `${field}: expected it once, got it twice.`, {
          errors: [{ field, detail: 'expected it once, got it twice' }],
        }),
      );
    } else {
      this.#said.add(field);
      this.fields[field] = value;
    }
  }
}

function drained(parser: NodeJS.EventEmitter, over: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      parser.off('drain', done);
      parser.off('error', done);
      parser.off('finish', done);
      resolve();
    };
    if (over()) resolve();
    else parser.on('drain', done).on('error', done).on('finish', done);
  });
}

/** The three characters that form data percent-encodes in names [HTML, multipart/form-data]; "100%25" stays itself. */
function unescapedName(name: string): string {
  return name.replaceAll('%22', '"').replace(/%0d/gi, '\r').replace(/%0a/gi, '\n');
}

function shortened(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 60);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 100) : 'unknown';
}
