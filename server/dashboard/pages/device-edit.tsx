import { useState } from 'preact/hooks';
import type { FleetDeviceAnswer } from '#sdk/protocol';
import { fieldError } from '../api/calls.ts';
import { changeDevice } from '../api/fleet.ts';
import { wordsList } from '../format/words-list.ts';
import { TextField } from '../parts/field.tsx';
import { FormDialog } from '../parts/form-dialog.tsx';
import { useSubmission } from '../state/submission.ts';
import { say } from '../state/toasts.ts';

export function DeviceEdit({
  device,
  onClose,
  onChanged,
}: {
  device: FleetDeviceAnswer;
  onClose: () => void;
  onChanged: () => void;
}) {
  const [name, setName] = useState(device.name);
  const [profile, setProfile] = useState(device.profile);
  const [tags, setTags] = useState(device.tags.join(', '));
  const [groups, setGroups] = useState(device.groups.join(', '));
  const form = useSubmission(async () => {
    await changeDevice(device.id, { name, profile, tags: wordsList(tags), groups: wordsList(groups) });
    say('done', 'The device is changed.');
    onChanged();
    onClose();
  });
  const { failed } = form;
  return (
    <FormDialog title="Edit the device" action="Save" form={form} onClose={onClose}>
      <TextField label="Name" value={name} onInput={setName} error={fieldError(failed, 'name')} required />
      <TextField label="Profile" value={profile} onInput={setProfile} error={fieldError(failed, 'profile')} required />
      <TextField
        label="Tags"
        value={tags}
        onInput={setTags}
        hint="With commas between them"
        error={fieldError(failed, 'tags')}
      />
      <TextField label="Groups" value={groups} onInput={setGroups} error={fieldError(failed, 'groups')} />
    </FormDialog>
  );
}
