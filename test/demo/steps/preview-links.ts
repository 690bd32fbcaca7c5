import type { Step } from '../world.ts';

const VISITORS: readonly { name: string; headers: Record<string, string> }[] = [
  { name: 'Slack preview', headers: { 'user-agent': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)' } },
  { name: 'WhatsApp preview', headers: { 'user-agent': 'WhatsApp/2.24.20 A' } },
  { name: 'Browser', headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)', accept: 'text/html,*/*' } },
];

/** Chat previews and browsers open the links first, as they do in life. Nothing may change. */
export const previewLinks: Step = {
  title: 'Chat previews and browsers look at the links',
  async run(world) {
    for (const file of world.sent) {
      for (const { name, headers } of VISITORS) {
        const answer = await fetch(file.link, { headers });
        const page = await answer.text();
        if (answer.status !== 200 || !page.includes('<form'))
          world.failures.push(`${name} on ${file.filename}: expected a page with a button, got ${answer.status}`);
      }
      const head = await fetch(file.link, { method: 'HEAD' });
      if (head.status !== 200) world.failures.push(`HEAD on ${file.filename}: expected 200, got ${head.status}`);
    }
    world.say(`${world.sent.length} links, each seen by ${VISITORS.map(({ name }) => name).join(', ')} and HEAD`);
  },
};
