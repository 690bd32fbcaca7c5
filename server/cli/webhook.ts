import { Command } from 'commander';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import {
  addWebhook,
  enableWebhook,
  listMessages,
  listWebhooks,
  removeWebhook,
  sendAgain,
  testWebhook,
} from '../usecases/webhook/manage.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  event?: string[];
}

const ACCOUNT = ['--account <email>', 'which account, where there are several'] as const;
const JSON_OPTION = ['--json', 'print JSON'] as const;

function onAccount<T>(options: Options, act: (deps: Deps, caller: Caller) => Promise<T>): Promise<T> {
  return withStores(async (deps) => act(deps, await operatorFor(deps, options.account)));
}

export function webhookCommand(): Command {
  const command = new Command('webhook').description('who is told of what operators wait for, by signed messages');
  command
    .command('add <url>')
    .description('a new webhook; its secret is shown once')
    .option('--event <type...>', 'only these, e.g. device.silent; without it all')
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (url: string, options: Options) => {
      const made = await onAccount(options, (deps, caller) => addWebhook(deps, caller, { url, events: options.event }));
      print(options.json === true, made, [
        `Webhook    ${made.id} → ${made.url}`,
        `Events     ${made.events.join(', ')}`,
        `Secret     ${made.secret}`,
        'The secret is shown only now: give it to the receiver, which checks every message with it.',
      ]);
    });
  command
    .command('list')
    .description('webhooks, newest first')
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (options: Options) => {
      const webhooks = await onAccount(options, listWebhooks);
      const lines = webhooks.map(
        (row) =>
          `${row.id}  ${row.state}  ${row.url}  ${row.events.join(', ')}${row.reason === null ? '' : `  (${row.reason})`}`,
      );
      print(options.json === true, { webhooks }, lines.length === 0 ? ['no webhooks'] : lines);
    });
  command
    .command('messages <id>')
    .description('the newest messages and what became of them')
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (id: string, options: Options) => {
      const page = await onAccount(options, (deps, caller) => listMessages(deps, caller, id, {}));
      const lines = page.messages.map(
        (row) =>
          `${row.id}  ${row.created_at}  ${row.type.padEnd(20)} ${row.state} after ${row.attempts}  ${row.outcome ?? ''}`,
      );
      print(options.json === true, page, lines.length === 0 ? ['no messages'] : lines);
    });
  command
    .command('send-again <id> <message>')
    .description('send a message once more, under the same id')
    .option(...ACCOUNT)
    .option(...JSON_OPTION)
    .action(async (id: string, message: string, options: Options) => {
      const sent = await onAccount(options, (deps, caller) => sendAgain(deps, caller, { webhook: id, message }));
      print(options.json === true, sent, [`${sent.id} is on its way`]);
    });
  for (const [verb, what, act, said] of [
    ['test', 'send a message of the type webhook.test', testWebhook, 'A test is on its way to'],
    ['enable', 'let a disabled webhook go on where it stopped', enableWebhook, 'Enabled'],
    ['remove', 'take a webhook away', removeWebhook, 'Removed'],
  ] as const) {
    command
      .command(`${verb} <id>`)
      .description(what)
      .option(...ACCOUNT)
      .option(...JSON_OPTION)
      .action(async (id: string, options: Options) => {
        const answer = await onAccount(options, (deps, caller): Promise<unknown> => act(deps, caller, id));
        print(options.json === true, answer ?? {}, [`${said} ${id}`]);
      });
  }
  return command;
}
