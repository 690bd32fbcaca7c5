import type { ComponentType } from 'preact';
import { Audit } from './pages/audit.tsx';
import { Campaign } from './pages/campaign.tsx';
import { CampaignNew } from './pages/campaign-new.tsx';
import { Campaigns } from './pages/campaigns.tsx';
import { Device } from './pages/device.tsx';
import { Devices } from './pages/devices.tsx';
import { Events } from './pages/events.tsx';
import { Firmware } from './pages/firmware.tsx';
import { Incident } from './pages/incident.tsx';
import { Keys } from './pages/keys.tsx';
import { Overview } from './pages/overview.tsx';
import { SetUp } from './pages/set-up.tsx';
import { Settings } from './pages/settings.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { Transfer } from './pages/transfer.tsx';
import { Transfers } from './pages/transfers.tsx';
import { Waiting } from './parts/failure.tsx';
import { Page } from './parts/page.tsx';
import { Toasts } from './parts/toasts.tsx';
import { Shell } from './shell.tsx';
import { href, place } from './state/route.ts';
import { who } from './state/session.ts';

interface Shown {
  list: ComponentType;
  one?: ComponentType<{ id: string }>;
}

/** Every page there is: by the first part of its address, and, where it has them, its single things. */
const PAGES: Readonly<Record<string, Shown>> = {
  '': { list: Overview },
  devices: { list: Devices, one: Device },
  campaigns: { list: Campaigns, one: CampaignOrNew },
  transfers: { list: Transfers, one: Transfer },
  firmware: { list: Firmware },
  keys: { list: Keys },
  incident: { list: Incident },
  events: { list: Events },
  audit: { list: Audit },
  settings: { list: Settings },
};

function CampaignOrNew({ id }: { id: string }) {
  return id === 'new' ? <CampaignNew /> : <Campaign id={id} />;
}

export function App() {
  return (
    <>
      <Content />
      <Toasts />
    </>
  );
}

function Content() {
  if (place.value.page === 'set-up') return <SetUp />;
  if (who.value === undefined) {
    return (
      <main class="alone">
        <Waiting what="the dashboard" />
      </main>
    );
  }
  if (who.value === null) return <SignIn />;
  return (
    <Shell>
      <Routed />
    </Shell>
  );
}

function Routed() {
  const { page, id } = place.value;
  const shown = Object.hasOwn(PAGES, page) ? PAGES[page] : undefined;
  if (shown === undefined || (id !== null && shown.one === undefined)) return <NotHere />;
  const One = shown.one;
  const List = shown.list;
  return id === null || One === undefined ? <List key={page} /> : <One key={`${page}/${id}`} id={id} />;
}

function NotHere() {
  return (
    <Page title="There is nothing here">
      <p>
        This address is none of the dashboard's. <a href={href('')}>Go to the overview</a>.
      </p>
    </Page>
  );
}
