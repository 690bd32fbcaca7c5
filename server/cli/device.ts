import { Command } from 'commander';
import { enrolDevice, listDevices } from '../usecases/device/enrol-device.ts';
import { deviceRotationCommands } from './device-rotation.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  profile?: string;
  tag?: string[];
  group?: string[];
}

export function deviceCommand(): Command {
  const command = new Command('device').description('devices of an account');
  command
    .command('enrol <name>')
    .description('a new device; its key is shown once')
    .option('--profile <name>', 'kind of device, e.g. pi or esp32')
    .option('--tag <tag...>', 'tags, for campaigns and filters')
    .option('--group <group...>', 'groups')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (name: string, options: Options) => {
      const { device, key, recoverySecret } = await withStores(async (deps) =>
        enrolDevice(deps, await operatorFor(deps, options.account), {
          name,
          profile: options.profile,
          tags: options.tag,
          groups: options.group,
        }),
      );
      print(options.json === true, { device_id: device.id, api_key: key, recovery_secret: recoverySecret, device }, [
        `Device     ${device.name} (${device.id})`,
        `API key    ${key}`,
        `Recovery   ${recoverySecret}`,
        'Both are shown only now: put them on the device.',
      ]);
    });
  command
    .command('list')
    .description('devices, newest first')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const page = await withStores(async (deps) =>
        listDevices(deps, await operatorFor(deps, options.account), { limit: 200 }),
      );
      const lines = page.devices.map(
        (device) => `${device.id}  ${device.name}  ${device.profile}  last seen ${device.last_seen_at ?? 'never'}`,
      );
      print(options.json === true, page, lines.length === 0 ? ['no devices'] : lines);
    });
  for (const sub of deviceRotationCommands()) command.addCommand(sub);
  return command;
}
