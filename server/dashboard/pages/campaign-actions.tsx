import { useState } from 'preact/hooks';
import type { CampaignAnswer } from '#sdk/protocol';
import { type CampaignVerb, orderCampaign } from '../api/fleet.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { TextField } from '../parts/field.tsx';
import { verbsFor } from '../state/campaign-verbs.ts';
import { say } from '../state/toasts.ts';

const WORDS: Readonly<
  Record<CampaignVerb, { button: string; title: string; text: string; danger: boolean; done: string }>
> = {
  start: {
    button: 'Start',
    title: 'Start the campaign?',
    text: 'The first wave is asked for new keys at its next contacts.',
    danger: false,
    done: 'The campaign has started.',
  },
  schedule: {
    button: 'Schedule',
    title: 'Start at a time',
    text: 'It starts by itself, in your time zone at:',
    danger: false,
    done: 'The campaign is scheduled.',
  },
  pause: {
    button: 'Pause',
    title: 'Pause the campaign?',
    text: 'No key is minted until it goes on. What is proven settles by itself.',
    danger: false,
    done: 'The campaign is paused.',
  },
  resume: {
    button: 'Resume',
    title: 'Go on?',
    text: 'It goes on where it was. The errors it paused for are forgiven.',
    danger: false,
    done: 'The campaign goes on.',
  },
  abort: {
    button: 'Abort',
    title: 'Abort the campaign?',
    text: 'What is not proven is called off, and it ends. Devices that have proven their new key keep it.',
    danger: true,
    done: 'The campaign is being aborted.',
  },
  'roll-back': {
    button: 'Roll back',
    title: 'Roll the campaign back?',
    text: 'Devices go back to their old keys wherever those still exist, and it ends.',
    danger: true,
    done: 'The campaign is being rolled back.',
  },
};

export function CampaignActions({ campaign, onChanged }: { campaign: CampaignAnswer; onChanged: () => void }) {
  const [verb, setVerb] = useState<CampaignVerb | null>(null);
  const [at, setAt] = useState('');
  const order = async (what: CampaignVerb) => {
    const body = what === 'schedule' ? { starts_at: new Date(at).toISOString() } : {};
    await orderCampaign(campaign.id, what, body);
    say('done', WORDS[what].done);
    onChanged();
  };
  const words = verb === null ? null : WORDS[verb];
  return (
    <>
      {verbsFor(campaign.state).map((one, index) => (
        <Button
          key={one}
          kind={index === 0 ? 'main' : WORDS[one].danger ? 'danger' : 'plain'}
          onClick={() => setVerb(one)}
        >
          {WORDS[one].button}
        </Button>
      ))}
      {verb === null || words === null ? null : (
        <Confirm
          title={words.title}
          action={words.button}
          kind={words.danger ? 'danger' : 'main'}
          onConfirm={() => order(verb)}
          onClose={() => setVerb(null)}
        >
          <p>{words.text}</p>
          {verb === 'schedule' ? (
            <TextField label="Start" type="datetime-local" value={at} onInput={setAt} required />
          ) : null}
        </Confirm>
      )}
    </>
  );
}
