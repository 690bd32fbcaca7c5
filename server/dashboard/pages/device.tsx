import { useState } from 'preact/hooks';
import type { FleetDeviceAnswer, RotationAnswer, StoryAnswer } from '#sdk/protocol';
import { wordsOf } from '../api/calls.ts';
import * as api from '../api/fleet.ts';
import { fingerprintText } from '../format/numbers.ts';
import { rotationWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Card, Facts } from '../parts/card.tsx';
import { Empty } from '../parts/empty.tsx';
import { Failure, Waiting } from '../parts/failure.tsx';
import { Page } from '../parts/page.tsx';
import { Time, TimeOr } from '../parts/time.tsx';
import { TransferLines } from '../parts/transfer-lines.tsx';
import { sendCommand } from '../state/commands.ts';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { mayChange } from '../state/session.ts';
import { DeviceActions } from './device-actions.tsx';
import { DeviceEdit } from './device-edit.tsx';

async function look(id: string) {
  const [device, rotation, story, sent] = await Promise.all([
    api.getDevice(id),
    api.getRotation(id),
    api.getStory(id),
    api.listTransfers({ device: id, limit: 5 }),
  ]);
  return { device, rotation, story, sent: sent.transfers };
}

export function Device({ id }: { id: string }) {
  const { value, error, reload } = useLoaded(id, () => look(id));
  useLive((event) => event.subject === id || event.action.startsWith('transfer.'), reload);
  const crumb = <a href={href('devices')}>Devices</a>;
  if (value === null) {
    return (
      <Page title="Device" crumb={crumb}>
        {error === null ? <Waiting what="the device" /> : <Failure text={wordsOf(error)} retry={reload} />}
      </Page>
    );
  }
  const { device, rotation, story, sent } = value;
  return (
    <Page title={device.name} crumb={crumb} badge={<Badge words={rotationWords(rotation.state)} />}>
      <div class="columns">
        <About device={device} onChanged={reload} />
        <Key device={device} rotation={rotation} onChanged={reload} />
      </div>
      <Card title="Story" about={story.now}>
        <Story story={story} />
      </Card>
      <Card title="Latest files" actions={<a href={href('transfers', null, { device: id })}>All of its files</a>}>
        {sent.length === 0 ? (
          <Empty title="It has not sent a file yet" command={sendCommand('KEY')}>
            <p>On the device, with its API key:</p>
          </Empty>
        ) : (
          <TransferLines transfers={sent} />
        )}
      </Card>
    </Page>
  );
}

function About({ device, onChanged }: { device: FleetDeviceAnswer; onChanged: () => void }) {
  const [editing, setEditing] = useState(false);
  return (
    <Card title="Device" actions={mayChange.value ? <Button onClick={() => setEditing(true)}>Edit</Button> : undefined}>
      <Facts
        facts={[
          ['Profile', device.profile],
          [
            'Tags',
            device.tags.length === 0 ? (
              <span class="soft">none</span>
            ) : (
              <span class="tags">
                {device.tags.map((tag) => (
                  <a class="tag" key={tag} href={href('devices', null, { tag })}>
                    {tag}
                  </a>
                ))}
              </span>
            ),
          ],
          ['Groups', device.groups.length === 0 ? <span class="soft">none</span> : device.groups.join(', ')],
          ['Last seen', <TimeOr key="seen" at={device.last_seen_at} otherwise="never" />],
          ['Enrolled', <Time key="made" at={device.created_at} as="local" />],
          ['Id', <code key="id">{device.id}</code>],
        ]}
      />
      {editing ? <DeviceEdit device={device} onClose={() => setEditing(false)} onChanged={onChanged} /> : null}
    </Card>
  );
}

function Key({
  device,
  rotation,
  onChanged,
}: {
  device: FleetDeviceAnswer;
  rotation: RotationAnswer;
  onChanged: () => void;
}) {
  const { key } = device;
  const words = rotationWords(rotation.state);
  return (
    <Card title="Key" about={words.means}>
      <Facts
        facts={[
          [
            'Active key',
            key === null ? <span class="soft">none that is accepted</span> : <Print of={key.fingerprint} />,
          ],
          ['Generation', String(key?.generation ?? rotation.generation)],
          key === null ? null : ['Age', <Time key="age" at={key.created_at} as="age" />],
          key === null ? null : ['Last used', <TimeOr key="used" at={key.last_used_at} otherwise="never" />],
          rotation.pending === null
            ? null
            : ['Waiting for its first use', <Print key="pending" of={rotation.pending} />],
          rotation.retiring === null
            ? null
            : ['Kept until it is heard again', <Print key="old" of={rotation.retiring} />],
          rotation.campaign_id === null
            ? null
            : [
                'Campaign',
                <a key="campaign" href={href('campaigns', rotation.campaign_id)}>
                  Look at it
                </a>,
              ],
          rotation.deadline_at === null ? null : ['Deadline', <Time key="deadline" at={rotation.deadline_at} />],
          rotation.limbo_since === null ? null : ['Refused both keys', <Time key="limbo" at={rotation.limbo_since} />],
          rotation.reported === null
            ? null
            : [
                'It says of itself',
                <span key="said">
                  {rotation.reported.phase.toLowerCase()}, <Time at={rotation.reported.at} />
                </span>,
              ],
        ]}
      />
      {mayChange.value ? <DeviceActions device={device} rotation={rotation} onChanged={onChanged} /> : null}
    </Card>
  );
}

function Print({ of }: { of: string }) {
  return <code title="Fingerprint: the first 8 bytes of a SHA-256 over the key">{fingerprintText(of)}</code>;
}

function Story({ story }: { story: StoryAnswer }) {
  if (story.events.length === 0) return <p class="soft">Nothing has happened to its key yet.</p>;
  return (
    <ol class="timeline">
      {story.events.map(({ seq, at, action, sentence }) => (
        <li key={seq} class={action.includes('alarm') || action.includes('lost') ? 'bad' : ''}>
          <span class="soft">
            <Time at={at} as="local" />
          </span>
          <span>{sentence}</span>
        </li>
      ))}
    </ol>
  );
}
