import { useState } from 'preact/hooks';
import type { FleetDeviceAnswer } from '#sdk/protocol';
import { fieldError, wordsOf } from '../api/calls.ts';
import { changeDevice } from '../api/fleet.ts';
import { wordsList } from '../format/words-list.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Failure } from '../parts/failure.tsx';
import { TextField } from '../parts/field.tsx';
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
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailed(null);
    try {
      await changeDevice(device.id, { name, profile, tags: wordsList(tags), groups: wordsList(groups) });
      say('done', 'The device is changed.');
      onChanged();
      onClose();
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Edit the device" onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          <TextField label="Name" value={name} onInput={setName} error={fieldError(failed, 'name')} required />
          <TextField
            label="Profile"
            value={profile}
            onInput={setProfile}
            error={fieldError(failed, 'profile')}
            required
          />
          <TextField
            label="Tags"
            value={tags}
            onInput={setTags}
            hint="With commas between them"
            error={fieldError(failed, 'tags')}
          />
          <TextField label="Groups" value={groups} onInput={setGroups} error={fieldError(failed, 'groups')} />
          {failed === null ? null : <Failure text={wordsOf(failed)} />}
        </div>
        <footer class="dialog-foot">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit" busy={busy}>
            Save
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
