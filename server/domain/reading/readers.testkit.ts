/** How readers present themselves on the wire, as captured or as their makers document it. Shared by tests. */
export interface Reader {
  name: string;
  userAgent?: string;
  accept?: string;
  purpose?: string;
}

/** Tools and devices that download: they get the bytes. */
export const CLIENTS: readonly Reader[] = [
  { name: 'curl', userAgent: 'curl/7.88.1', accept: '*/*' },
  { name: 'GNU wget', userAgent: 'Wget/1.21.3', accept: '*/*' },
  { name: 'wget2', userAgent: 'wget2/2.1.0', accept: '*/*' },
  { name: 'busybox wget', userAgent: 'Wget' },
  { name: 'aria2', userAgent: 'aria2/1.36.0', accept: '*/*,application/metalink4+xml,application/metalink+xml' },
  { name: 'lftp', userAgent: 'lftp/4.9.2', accept: '*/*' },
  { name: 'HTTPie', userAgent: 'HTTPie/3.2.1', accept: '*/*' },
  { name: 'xh', userAgent: 'xh/0.22.2', accept: '*/*' },
  { name: 'python urllib', userAgent: 'Python-urllib/3.11' },
  { name: 'python-requests', userAgent: 'python-requests/2.34.2', accept: '*/*' },
  { name: 'python httpx', userAgent: 'python-httpx/0.27.0', accept: '*/*' },
  { name: 'aiohttp', userAgent: 'Python/3.11 aiohttp/3.9.1', accept: '*/*' },
  { name: 'Go', userAgent: 'Go-http-client/1.1' },
  { name: 'node fetch', userAgent: 'node', accept: '*/*' },
  { name: 'undici', userAgent: 'undici', accept: '*/*' },
  { name: 'node:http' },
  { name: 'axios', userAgent: 'axios/1.7.2', accept: 'application/json, text/plain, */*' },
  { name: 'got', userAgent: 'got (https://github.com/sindresorhus/got)', accept: '*/*' },
  { name: 'okhttp', userAgent: 'okhttp/4.12.0' },
  {
    name: 'Java HttpURLConnection',
    userAgent: 'Java/17.0.2',
    accept: 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2',
  },
  { name: 'Java HttpClient', userAgent: 'Java-http-client/17.0.2' },
  { name: 'Android', userAgent: 'Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A)' },
  { name: 'Apache HttpClient', userAgent: 'Apache-HttpClient/4.5.14 (Java/17.0.2)' },
  { name: 'libwww-perl', userAgent: 'libwww-perl/6.67' },
  { name: 'PHP', userAgent: 'PHP/8.2' },
  { name: 'Guzzle', userAgent: 'GuzzleHttp/7' },
  { name: 'Ruby', userAgent: 'Ruby', accept: '*/*' },
  {
    name: 'Windows PowerShell',
    userAgent: 'Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1',
  },
  {
    name: 'PowerShell 7',
    userAgent: 'Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.19045; en-US) PowerShell/7.4.2',
  },
  { name: 'reqwest', userAgent: 'reqwest/0.12', accept: '*/*' },
  { name: 'Espruino', userAgent: 'Espruino 2v29' },
  { name: 'MicroPython urequests' },
  { name: 'ESP32 Arduino', userAgent: 'ESP32HTTPClient' },
  { name: 'ESP8266 Arduino', userAgent: 'ESP8266HTTPClient' },
  { name: 'fuselink receive', userAgent: 'fuselink/0.1.0' },
  { name: 'no headers at all (HTTP/1.0)' },
  { name: 'Signal K server', userAgent: 'signalk-server 2.8.1', accept: '*/*' },
  { name: 'a tool nobody knows', userAgent: 'acme-sync/3.1', accept: 'application/octet-stream' },
];

const CHROME = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0';
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

/** Link previews and scanners: they get a page and change nothing. */
export const PREVIEWS: readonly Reader[] = [
  { name: 'Slack', userAgent: 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)', accept: '*/*' },
  { name: 'Slack images', userAgent: 'Slack-ImgProxy (+https://api.slack.com/robots)' },
  { name: 'WhatsApp', userAgent: 'WhatsApp/2.23.20.0 A', accept: '*/*' },
  { name: 'Signal (poses as WhatsApp)', userAgent: 'WhatsApp/2' },
  { name: 'Signal iOS', userAgent: 'Signal-iOS/7.2' },
  { name: 'Teams', userAgent: `${CHROME} Safari/537.36 SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com` },
  { name: 'Teams bot', userAgent: 'TeamsBot/1.0' },
  {
    name: 'Microsoft preview',
    userAgent: 'Mozilla/5.0 (compatible; MicrosoftPreview/2.0; +https://aka.ms/MicrosoftPreview)',
  },
  { name: 'Skype', userAgent: 'Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5' },
  { name: 'Discord', userAgent: 'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)' },
  { name: 'BingPreview', userAgent: `${CHROME} Safari/537.36 BingPreview/1.0b`, accept: '*/*' },
  {
    name: 'iMessage (poses as three)',
    userAgent:
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0',
    accept: '*/*',
  },
  { name: 'Telegram', userAgent: 'TelegramBot (like TwitterBot)', accept: '*/*' },
  {
    name: 'LinkedIn',
    userAgent: 'LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)',
  },
  {
    name: 'Facebook',
    userAgent: 'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
    accept: '*/*',
  },
  { name: 'X', userAgent: 'Twitterbot/1.0', accept: '*/*' },
  { name: 'Mattermost', userAgent: 'mattermost-9.5.0', accept: '*/*' },
  { name: 'Rocket.Chat', userAgent: 'Rocket.Chat/6.5', accept: '*/*' },
  { name: 'Zulip', userAgent: 'ZulipURLPreview/8.0', accept: '*/*' },
  { name: 'Matrix', userAgent: 'Synapse (bot; +https://github.com/matrix-org/synapse)', accept: '*/*' },
  { name: 'Mastodon', userAgent: 'Mastodon/4.2.0 (http.rb/5.1.1; +https://mastodon.social/)' },
  { name: 'Apple', userAgent: 'Mozilla/5.0 (compatible; Applebot/0.1; +http://www.apple.com/go/applebot)' },
  { name: 'Google', userAgent: 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)' },
  { name: 'Pinterest', userAgent: 'Pinterest/0.2 (+https://www.pinterest.com/bot.html)' },
  { name: 'Viber', userAgent: 'Viber/20.0', accept: '*/*' },
  { name: 'LINE', userAgent: 'facebookexternalhit/1.1;line-poker/1.0' },
  { name: 'KakaoTalk', userAgent: 'facebookexternalhit/1.1; kakaotalk-scrap/1.0' },
  { name: 'Snapchat', userAgent: 'Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots' },
  { name: 'Reddit', userAgent: 'Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)' },
  { name: 'Iframely', userAgent: 'Iframely/1.3.1 (+https://iframely.com/docs/about)', accept: '*/*' },
  { name: 'Barracuda', userAgent: 'BarracudaCentral/1.0', accept: '*/*' },
  { name: 'Mimecast', userAgent: 'Mimecast URL Protect', accept: '*/*' },
  { name: 'Proofpoint', userAgent: 'Proofpoint URL Defense', accept: '*/*' },
  { name: 'VirusTotal', userAgent: 'virustotalcloud', accept: '*/*' },
  { name: 'a scanner that poses as Chrome', userAgent: `${CHROME} Safari/537.36`, accept: '*/*' },
];

/** People: they get a page. */
export const BROWSERS: readonly Reader[] = [
  { name: 'Chrome', userAgent: `${CHROME} Safari/537.36`, accept: `${HTML},image/avif` },
  { name: 'Chrome prefetching', userAgent: `${CHROME} Safari/537.36`, accept: HTML, purpose: 'prefetch;prerender' },
  {
    name: 'Firefox',
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0',
    accept: HTML,
  },
  {
    name: 'Safari on a phone',
    userAgent:
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
    accept: HTML,
  },
  { name: 'w3m', userAgent: 'w3m/0.5.3', accept: 'text/html, text/*;q=0.5, image/*' },
  { name: 'Lynx', userAgent: 'Lynx/2.9.0 libwww-FM/2.14', accept: 'text/html, text/plain, */*;q=0.01' },
];
