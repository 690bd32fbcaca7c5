import { Command, CommanderError } from 'commander';
import { parseListenAddress } from '../broker/listeners.ts';
import { RelayUnavailable } from '../relay/relay.ts';
import { relayOf, startBridge } from './bridge.ts';
import { CONFIG_SCHEMA, ConfigError, readConfig } from './config.ts';

/** What the exit status says. */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 3, unreachable: 4 } as const;

interface Options {
  config: string;
  listen?: string[];
  broker?: string;
  check?: boolean;
  schema?: boolean;
  json?: boolean;
}

export interface ProgramIo {
  out(text: string): void;
  err(text: string): void;
  /** Resolves when the program is to stop. */
  stopped: Promise<void>;
  /** Told the bytes of each message that came. */
  passed?(bytes: number): void;
}

function command(): Command {
  return new Command('fuselink-bridge')
    .description('MQTT devices on a LAN to a Fuselink server: stored on this gateway before they are acknowledged.')
    .option('-c, --config <file>', 'configuration in JSON', 'fuselink-bridge.json')
    .option('--listen <url...>', 'own broker: mqtt://, mqtts://, ws:// or wss:// with host and port')
    .option('--broker <url>', 'existing broker, mqtt:// or mqtts://; its topics come from the configuration')
    .option('--check', 'check configuration, gateway key and server, then exit')
    .option('--schema', 'print the JSON Schema of the configuration')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit codes: 0 stopped in order or all is well, 1 failed, 2 not understood, 3 the configuration is wrong,
4 (--check) the server cannot be reached or refuses this gateway.`,
    );
}

/** Runs the program: its words → exit status. */
export async function runProgram(argv: readonly string[], io: ProgramIo): Promise<number> {
  const program = command().exitOverride().configureOutput({ writeOut: io.out, writeErr: io.err });
  try {
    program.parse(argv as string[], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  }
  const options = program.opts<Options>();
  const say = (line: string, value: object) => io.out(`${options.json === true ? JSON.stringify(value) : line}\n`);
  if (options.schema === true) {
    io.out(`${JSON.stringify(CONFIG_SCHEMA, null, 2)}\n`);
    return EXIT.ok;
  }
  try {
    const config = readConfig(options.config, { listen: options.listen, broker: options.broker });
    for (const address of config.listen) {
      const { scheme } = parseListenAddress(address);
      if (scheme.endsWith('s') && scheme !== 'ws' && config.tls === null) {
        throw new ConfigError([`tls: expected cert and key, because of ${address}`]);
      }
    }
    if (options.check === true) {
      const { relay, transport } = await relayOf(config);
      const { name, devices } = await relay.about(10_000).finally(() => transport.close());
      say(`All is well: ${config.server} knows this gateway as "${name}", for ${devices} devices`, {
        ok: true,
        gateway: name,
        devices,
      });
      return EXIT.ok;
    }
    const bridge = await startBridge(config, (detail) => io.err(`fuselink-bridge: ${detail}\n`), io.passed);
    for (const url of bridge.urls) say(`fuselink-bridge listens on ${url}`, { listening: url });
    if (bridge.httpUrl !== null) say(`fuselink-bridge tells of itself on ${bridge.httpUrl}`, { http: bridge.httpUrl });
    await io.stopped;
    await bridge.stop();
    return EXIT.ok;
  } catch (error) {
    const problems =
      error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : String(error)];
    if (options.json === true) io.out(`${JSON.stringify({ ok: false, problems })}\n`);
    else for (const problem of problems) io.err(`fuselink-bridge: ${problem}\n`);
    if (error instanceof ConfigError || error instanceof RangeError) return EXIT.config;
    return error instanceof RelayUnavailable ? EXIT.unreachable : EXIT.failed;
  }
}
