import { readFileSync } from 'node:fs';
import { type Credentials, totpOf } from './management.ts';

/** What was given on the command line; secrets only ever as files. */
export interface GivenSettings {
  url?: string;
  managementKeyFile?: string;
  email?: string;
  totpFile?: string;
  ca?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** A file that an option names, without the white space around it. Throws RangeError that names option and file, and none of its content. */
function contentOf(file: string, option: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new RangeError(`${option}: ${(error as Error).message}`);
  }
  if (text === '') throw new RangeError(`${option}: expected something in ${file}, it is empty`);
  return text;
}

/** From the option's file, else from the environment: the value itself, or the file that NAME_FILE names. */
function secretOf(file: string | undefined, option: string, env: Env, name: string): string | null {
  if (file !== undefined) return contentOf(file, option);
  const said = env[name]?.trim();
  if (said !== undefined && said !== '') return said;
  const named = env[`${name}_FILE`];
  return named === undefined || named === '' ? null : contentOf(named, `${name}_FILE`);
}

/** Which server. Throws RangeError for what is no URL of one, and for secrets in it. */
export function serverOf(given: GivenSettings, env: Env): { url: URL; ca?: string } {
  const text = given.url ?? env['FUSELINK_URL'];
  if (text === undefined || text === '') throw new RangeError('which server? give --url or set FUSELINK_URL');
  if (!URL.canParse(text)) throw new RangeError('--url: expected http://… or https://…, got something else');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RangeError(`--url: expected http://… or https://…, got ${url.protocol}//…`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '') {
    throw new RangeError('--url: expected no user, password or query: secrets come in files or the environment');
  }
  const ca = given.ca ?? env['FUSELINK_CA'];
  return ca === undefined || ca === '' ? { url } : { url, ca: contentOf(ca, '--ca') };
}

/** What the run manages devices with. Throws RangeError where something is missing. */
export function credentialsOf(given: GivenSettings, env: Env): Credentials {
  const key = secretOf(given.managementKeyFile, '--management-key-file', env, 'FUSELINK_MANAGEMENT_KEY');
  if (key === null) {
    throw new RangeError('which account? give --management-key-file or set FUSELINK_MANAGEMENT_KEY');
  }
  if (/\s/.test(key)) throw new RangeError('--management-key-file: expected one key, got white space in it');
  const email = given.email ?? env['FUSELINK_EMAIL'];
  const totp = secretOf(given.totpFile, '--totp-file', env, 'FUSELINK_TOTP');
  if (email === undefined && totp === null) return { key, signIn: null };
  if (email === undefined || totp === null) {
    throw new RangeError('--email and --totp-file: expected both, to sign in with a second factor, got one');
  }
  totpOf(totp);
  return { key, signIn: { email, totp } };
}
