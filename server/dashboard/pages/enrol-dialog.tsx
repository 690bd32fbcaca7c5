import { useState } from 'preact/hooks';
import { fieldError, Refusal } from '../api/calls.ts';
import { enrolDevice } from '../api/fleet.ts';
import { wordsList } from '../format/words-list.ts';
import { Copyable } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { FormDialog, ShownOnce } from '../parts/form-dialog.tsx';
import { sendCommand } from '../state/commands.ts';
import { href } from '../state/route.ts';
import { useSubmission } from '../state/submission.ts';

type Enrolled = Awaited<ReturnType<typeof enrolDevice>>;

/** A new device; its key and recovery secret are shown here and nowhere again. */
export function EnrolDialog({ onClose, onEnrolled }: { onClose: () => void; onEnrolled: () => void }) {
  const [enrolled, setEnrolled] = useState<Enrolled | null>(null);
  if (enrolled !== null) return <Shown enrolled={enrolled} onClose={onClose} />;
  return (
    <Ask
      onClose={onClose}
      onEnrolled={(device) => {
        setEnrolled(device);
        onEnrolled();
      }}
    />
  );
}

function Ask({ onClose, onEnrolled }: { onClose: () => void; onEnrolled: (enrolled: Enrolled) => void }) {
  const [name, setName] = useState('');
  const [profile, setProfile] = useState('');
  const [tags, setTags] = useState('');
  const [groups, setGroups] = useState('');
  const form = useSubmission(async () => {
    const named = profile.trim() === '' ? {} : { profile };
    onEnrolled(await enrolDevice({ name, ...named, tags: wordsList(tags), groups: wordsList(groups) }));
  });
  const { failed } = form;
  const taken = failed instanceof Refusal && failed.code === 'conflict' ? failed.message : undefined;
  return (
    <FormDialog title="Enrol a device" action="Enrol" form={form} told={taken !== undefined} onClose={onClose}>
      <TextField
        label="Name"
        value={name}
        onInput={setName}
        maxLength={100}
        error={fieldError(failed, 'name') ?? taken}
        hint="As people call it, e.g. boiler-7. Every device has another."
        required
      />
      <TextField
        label="Profile"
        value={profile}
        onInput={setProfile}
        maxLength={100}
        placeholder="generic"
        hint="What kind it is: campaigns spread their first waves over profiles."
        error={fieldError(failed, 'profile')}
      />
      <TextField
        label="Tags"
        value={tags}
        onInput={setTags}
        hint="With commas between them, e.g. hall 3, north"
        error={fieldError(failed, 'tags')}
      />
      <TextField label="Groups" value={groups} onInput={setGroups} error={fieldError(failed, 'groups')} />
    </FormDialog>
  );
}

function Shown({ enrolled, onClose }: { enrolled: Enrolled; onClose: () => void }) {
  return (
    <ShownOnce
      title={`${enrolled.device.name} is enrolled`}
      warning="Both secrets are shown only now: the server keeps digests of them."
      saved="I have saved them"
      beside={
        <a class="button plain" href={href('devices', enrolled.device_id)}>
          Look at the device
        </a>
      }
      onClose={onClose}
    >
      <h3>API key</h3>
      <Copyable text={enrolled.api_key} what="the device's API key" secret />
      <h3>Recovery secret</h3>
      <p class="hint">It leads the device out of quarantine. Keep it apart from the key.</p>
      <Copyable text={enrolled.recovery_secret} what="the recovery secret" secret />
      <h3>Send a first file</h3>
      <Copyable text={sendCommand(enrolled.api_key)} what="the command that sends a file" />
    </ShownOnce>
  );
}
