/** Where blobs lie in an object store. */
export interface S3Location {
  /** Scheme, host and port. */
  endpoint: string;
  bucket: string;
  /** Put before every key; '' or ends with a slash. */
  prefix: string;
  region: string;
  /** Whether the bucket is in the path (any store) or in the host name. */
  addressing: 'path' | 'host';
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * Reads `s3://bucket[/prefix]?endpoint=https://…[&region=…][&addressing=host]`. Without an endpoint it is Amazon's for the
 * region. Throws TypeError that says what was expected. Credentials in the address are refused: they would show in logs.
 */
export function parseS3Location(text: string): S3Location {
  if (!URL.canParse(text)) throw new TypeError('expected s3://bucket?endpoint=…, came something that is no address');
  const url = new URL(text);
  if (url.protocol !== 's3:') throw new TypeError(`expected s3://bucket?endpoint=…, came ${url.protocol}//`);
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('expected no credentials in the address of the object store: they have settings of their own');
  }
  if (!BUCKET.test(url.hostname))
    throw new TypeError('expected a bucket of 3 to 63 of a-z, 0-9, dot and dash after s3://');
  for (const name of url.searchParams.keys()) {
    if (!['endpoint', 'region', 'addressing'].includes(name)) {
      throw new TypeError(`expected endpoint, region and addressing in the address of the object store, came ${name}`);
    }
  }
  const region = url.searchParams.get('region') ?? 'us-east-1';
  const addressing = url.searchParams.get('addressing') ?? 'path';
  if (addressing !== 'path' && addressing !== 'host') {
    throw new TypeError(`expected addressing=path or addressing=host, came ${addressing}`);
  }
  const endpoint = endpointOf(url.searchParams.get('endpoint') ?? `https://s3.${region}.amazonaws.com`);
  const path = url.pathname.replace(/^\/+|\/+$/g, '');
  if (!/^[A-Za-z0-9._/-]*$/.test(path))
    throw new TypeError('expected a prefix of letters, digits, dot, dash, _ and slash');
  return { endpoint, bucket: url.hostname, prefix: path === '' ? '' : `${path}/`, region, addressing };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '') {
    throw new TypeError('expected endpoint=https://host[:port] of the object store');
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('expected no credentials in the endpoint');
  return url.origin;
}

/** The address under which the client finds the bucket. */
export function bucketAddress(location: S3Location): string {
  if (location.addressing === 'path') return `${location.endpoint}/${location.bucket}`;
  const url = new URL(location.endpoint);
  return `${url.protocol}//${location.bucket}.${url.host}`;
}
