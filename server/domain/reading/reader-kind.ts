/**
 * Who is asking for `GET /get/:token`: a person's browser or a link preview gets a page and changes nothing; a
 * download tool gets the bytes. User agents alone cannot stop every preview, so whatever looks like a crawler gets
 * the page as well, and `require_claim` makes a plain GET never give bytes.
 */
export type ReaderKind = 'page' | 'bytes';

/** Link-preview agents by name, each a part of the User-Agent it sends, lower case. */
export const PREVIEW_AGENTS: readonly string[] = [
  'slackbot',
  'slack-imgproxy',
  'whatsapp',
  'skypeuripreview',
  'microsoftpreview',
  'teamsbot',
  'discordbot',
  'bingpreview',
  'bingbot',
  'facebookexternalhit',
  'facebot',
  'twitterbot',
  'telegrambot',
  'linkedinbot',
  'signal-',
  'signal/',
  'applebot',
  'googlebot',
  'google-pagerenderer',
  'google-inspectiontool',
  'googleother',
  'mattermost',
  'rocket.chat',
  'zulip',
  'matrix-media-repo',
  'synapse (bot',
  'synapse/',
  'mastodon',
  'embedly',
  'iframely',
  'outbrain',
  'pinterest',
  'redditbot',
  'viber',
  'snapchat',
  'line-poker',
  'imessagebot',
  'kakaotalk-scrap',
  'yandex',
  'baiduspider',
  'duckduckbot',
  'vkshare',
  'w3c_validator',
  'proofpoint',
  'safelinks',
  'barracuda',
  'mimecast',
  'urldefense',
  'virustotal',
];

/** Download tools by the way their User-Agent begins, lower case: these are served even with a crawler-like word in it. */
export const DOWNLOAD_TOOLS: readonly string[] = [
  'curl/',
  'wget',
  'aria2/',
  'lftp/',
  'httpie/',
  'xh/',
  'python-requests/',
  'python-urllib/',
  'python-httpx/',
  'aiohttp',
  'python/',
  'go-http-client/',
  'node',
  'undici',
  'axios/',
  'got ',
  'okhttp/',
  'java/',
  'dalvik/',
  'apache-httpclient/',
  'libwww-perl/',
  'php/',
  'guzzlehttp/',
  'ruby',
  'powershell/',
  'mozilla/5.0 (windows nt; windows nt',
  'busybox',
  'espruino',
  'micropython',
  'esp32http',
  'esp8266http',
  'arduino',
  'fuselink',
  'reqwest/',
  'hyper/',
  'dart/',
  'rest-client/',
  'insomnia/',
  'postmanruntime/',
];

const CRAWLER_WORDS = [
  'bot',
  'crawl',
  'spider',
  'preview',
  'scan',
  'unfurl',
  'fetcher',
  'http://',
  'https://',
  'mozilla/',
];

export interface ReaderHints {
  userAgent: string | undefined;
  accept: string | undefined;
  /** `Purpose`, `X-Purpose`, `Sec-Purpose` or `X-Moz`, whichever was sent. */
  purpose: string | undefined;
}

/** What Java's HttpURLConnection says on every request unless told otherwise: no wish for a page. */
const JAVA_DEFAULT_ACCEPT = /^text\/html, image\/gif, image\/jpeg, \*; q=\.2, \*\/\*; q=\.2$/;

/** Decides by name first, then by what the client says it accepts, then by the look of the name. */
export function readerKind(hints: ReaderHints): ReaderKind {
  const agent = (hints.userAgent ?? '').toLowerCase();
  if (/prefetch|preview|prerender/i.test(hints.purpose ?? '')) return 'page';
  if (PREVIEW_AGENTS.some((name) => agent.includes(name))) return 'page';
  const accept = hints.accept ?? '';
  if (/text\/html|application\/xhtml\+xml/i.test(accept) && !JAVA_DEFAULT_ACCEPT.test(accept)) return 'page';
  // PowerShell's Invoke-WebRequest calls itself Mozilla and then says so.
  if (agent.includes('powershell') || DOWNLOAD_TOOLS.some((name) => agent.startsWith(name))) return 'bytes';
  if (CRAWLER_WORDS.some((word) => agent.includes(word))) return 'page';
  return 'bytes';
}
