import type { ComponentChildren } from 'preact';
import { listCampaigns, listDevices, listTransfers } from '../api/fleet.ts';
import { countText, numberText } from '../format/numbers.ts';
import { campaignWords, hasEnded } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { ButtonLink } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Empty } from '../parts/empty.tsx';
import { EventLine } from '../parts/event-line.tsx';
import { Page } from '../parts/page.tsx';
import { TransferLines } from '../parts/transfer-lines.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { enrolCommand, sendCommand } from '../state/commands.ts';
import { heard, useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';

/** Rows counted for a tile: beyond it "more than" is all one needs to know. */
const COUNTED_MAX = 100;
const TROUBLE = ['QUARANTINED', 'LOST', 'OVERDUE'] as const;

async function look() {
  const [devices, ready, campaigns, recent, ...trouble] = await Promise.all([
    listDevices({ limit: 1 }),
    listTransfers({ state: 'ready', limit: COUNTED_MAX }),
    listCampaigns({ limit: 20 }),
    listTransfers({ limit: 5 }),
    ...TROUBLE.map((state) => listDevices({ state, limit: COUNTED_MAX })),
  ]);
  return {
    devices: devices.total,
    ready: { count: ready.transfers.length, more: ready.next_cursor !== null },
    running: campaigns.campaigns.filter(({ state }) => !hasEnded(state) && state !== 'DRAFT'),
    recent: recent.transfers,
    trouble: TROUBLE.map((state, at) => ({
      state,
      count: trouble[at]?.devices.length ?? 0,
      more: (trouble[at]?.next_cursor ?? null) !== null,
    })),
  };
}

export function Overview() {
  const loaded = useLoaded('overview', look);
  const { reload } = loaded;
  useLive(() => true, reload);
  return (
    <Page title="Overview">
      <WhenLoaded of={loaded} what="the overview">
        {(value) =>
          value.devices === 0 && value.recent.length === 0 ? (
            <FirstSteps />
          ) : (
            <>
              <div class="tiles">
                <Tile name="Devices" href={href('devices')}>
                  {numberText(value.devices)}
                </Tile>
                <Tile
                  name="Need attention"
                  href={href('devices', null, { state: worst(value.trouble) })}
                  tone={anyTrouble(value.trouble) ? 'bad' : 'good'}
                >
                  {troubleText(value.trouble)}
                </Tile>
                <Tile name="Waiting to be read" href={href('transfers', null, { state: 'ready' })}>
                  {value.ready.more ? `${numberText(value.ready.count)}+` : numberText(value.ready.count)}
                </Tile>
                <Tile name="Campaigns running" href={href('campaigns')}>
                  {numberText(value.running.length)}
                </Tile>
              </div>
              <div class="columns">
                <Card title="Campaigns" actions={<a href={href('campaigns')}>All campaigns</a>}>
                  {value.running.length === 0 ? (
                    <p class="soft">None is running.</p>
                  ) : (
                    <ul class="lines">
                      {value.running.map((campaign) => (
                        <li key={campaign.id}>
                          <a class="grow" href={href('campaigns', campaign.id)}>
                            {campaign.name}
                          </a>
                          <Badge words={campaignWords(campaign.state)} />
                          <span class="soft">{countText(campaign.progress.done, 'device')} done</span>
                        </li>
                      ))}
                    </ul>
                  )}
                </Card>
                <Card title="Latest transfers" actions={<a href={href('transfers')}>All transfers</a>}>
                  {value.recent.length === 0 ? (
                    <p class="soft">None yet.</p>
                  ) : (
                    <TransferLines transfers={value.recent} />
                  )}
                </Card>
              </div>
              <Card title="Latest events" actions={<a href={href('events')}>All events</a>}>
                {heard.value.length === 0 ? (
                  <p class="soft">None yet. What happens shows up here by itself.</p>
                ) : (
                  <ul class="lines">
                    {heard.value.slice(0, 8).map((event) => (
                      <EventLine key={event.seq} event={event} />
                    ))}
                  </ul>
                )}
              </Card>
            </>
          )
        }
      </WhenLoaded>
    </Page>
  );
}

type Trouble = Awaited<ReturnType<typeof look>>['trouble'];

function anyTrouble(trouble: Trouble): boolean {
  return trouble.some(({ count }) => count > 0);
}

function worst(trouble: Trouble): string | undefined {
  return trouble.find(({ count }) => count > 0)?.state;
}

function troubleText(trouble: Trouble): string {
  const count = trouble.reduce((sum, one) => sum + one.count, 0);
  return trouble.some(({ more }) => more) ? `${numberText(count)}+` : numberText(count);
}

function Tile({
  name,
  href: to,
  tone,
  children,
}: {
  name: string;
  href: string;
  tone?: string;
  children: ComponentChildren;
}) {
  return (
    <a class={`tile ${tone ?? ''}`} href={to}>
      <span class="tile-figure">{children}</span>
      <span class="tile-name">{name}</span>
    </a>
  );
}

function FirstSteps() {
  return (
    <Card title="Begin here" about="Two steps, and the first file is on its way.">
      <Empty
        title="1. Enrol a device"
        command={enrolCommand('boiler-7')}
        actions={
          <ButtonLink kind="main" href={href('devices', null, { enrol: 'yes' })}>
            Enrol it here
          </ButtonLink>
        }
      >
        <p>A device gets one API key of its own. Here, or on the server:</p>
      </Empty>
      <Empty title="2. Send a file with its key" command={sendCommand('KEY')}>
        <p>The answer is a link that works once. Whoever opens it gets the file, and then it is gone.</p>
      </Empty>
    </Card>
  );
}
