import { Command } from 'commander';
import { addGateway, allowDevices, denyDevices, listGateways } from '../usecases/gateway/gateways.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  device?: string[];
}

const DEVICE = ['--device <device...>', 'devices it may speak for, by id or name'] as const;
const ACCOUNT = ['--account <email>', 'which account, where there are several'] as const;
const JSON_OPTION = ['--json', 'print JSON'] as const;

export function gatewayCommand(): Command {
  const command = new Command('gateway').description('gateways (fuselink-bridge) and the devices they speak for');
  command
    .command('add <name>')
    .description('a new gateway; its key is shown once')
    .option(...DEVICE)
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (name: string, options: Options) => {
      const made = await withStores(async (deps) =>
        addGateway(deps, await operatorFor(deps, options.account), { name, devices: options.device ?? [] }),
      );
      const { gateway, key, devices, fingerprint } = made;
      print(options.json === true, { gateway_id: gateway.id, api_key: key, fingerprint, devices }, [
        `Gateway    ${gateway.name} (${gateway.id}), for ${devices.length} devices`,
        `Key        ${key}`,
        'The key is shown only now: put it on the gateway.',
      ]);
    });
  command
    .command('list')
    .description('gateways, newest first')
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (options: Options) => {
      const gateways = await withStores(async (deps) => listGateways(deps, await operatorFor(deps, options.account)));
      const lines = gateways.flatMap((row) => [
        `${row.id}  ${row.name}  ${row.devices} devices  key ${row.key_id}`,
        ...row.holds_keys_of.map((device) => `  holds the key of ${device}`),
      ]);
      print(options.json === true, { gateways }, lines.length === 0 ? ['no gateways'] : lines);
    });
  for (const [verb, what, act] of [
    ['allow', 'let a gateway speak for more devices', allowDevices],
    ['deny', 'take devices from a gateway, for the very next request', denyDevices],
  ] as const) {
    command
      .command(`${verb} <gateway>`)
      .description(what)
      .requiredOption(...DEVICE)
      .option(...ACCOUNT)
      .option(...JSON_OPTION)
      .action(async (gateway: string, options: Options) => {
        const devices = await withStores(async (deps) =>
          act(deps, await operatorFor(deps, options.account), { gateway, devices: options.device ?? [] }),
        );
        print(options.json === true, { devices }, [`${verb === 'allow' ? 'Allowed' : 'Denied'} ${devices.join(', ')}`]);
      });
  }
  return command;
}
