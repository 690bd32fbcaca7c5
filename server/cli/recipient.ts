import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { RecipientAnswer } from '#sdk/protocol';
import type { RecipientId } from '../domain/ids.ts';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { confirmRecipient, listRecipients, putRecipient, removeRecipient } from '../usecases/recipient/recipients.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  replace?: boolean;
}

export function recipientCommand(): Command {
  const command = new Command('recipient').description('whom files can be sealed to, with their public keys');
  const sub = (usage: string, what: string) =>
    command
      .command(usage)
      .description(what)
      .option('--account <email>', 'which account, where there are several')
      .option('--json', 'print JSON');
  sub('add <email> <key>', 'enter a public key: its text, or a file that holds it (`-`: standard input)')
    .option('--replace', 'the address is known with another key, and the new one was compared with the recipient')
    .action(async (email: string, key: string, options: Options) => {
      const { recipient, created } = await asOperator(options, (deps, operator) =>
        putRecipient(deps, operator, { email, publicKey: keyText(key), replace: options.replace === true }),
      );
      print(options.json === true, recipient, [
        created ? `Entered    ${recipient.email} (${recipient.id})` : `Known      ${recipient.email} (${recipient.id})`,
        `In words   ${recipient.fingerprint_words}`,
        'Compare the words with the recipient by telephone or in person.',
      ]);
    });
  sub('list', 'recipients, newest first; a key that changed and was not confirmed is marked').action(
    async (options: Options) => {
      const page = await asOperator(options, (deps, operator) => listRecipients(deps, operator, { limit: 200 }));
      const lines = page.recipients.map(
        (one) =>
          `${one.id}  ${one.email}  ${one.algorithm}  ${one.fingerprint_words}${one.alarm === null ? '' : `  KEY CHANGED ${one.alarm.since}`}`,
      );
      print(options.json === true, page, lines.length === 0 ? ['no recipients'] : lines);
    },
  );
  sub('confirm <email>', 'end the alarm of a changed key: its words were compared with the recipient').action(
    async (email: string, options: Options) => {
      const recipient = await asOperator(options, async (deps, operator) => {
        const { id, fingerprint } = await known(deps, operator, email);
        return confirmRecipient(deps, operator, { id: id as RecipientId, fingerprint });
      });
      print(options.json === true, recipient, [`Confirmed  ${recipient.email}: ${recipient.fingerprint_words}`]);
    },
  );
  sub('remove <email>', 'take an address out of the directory').action(async (email: string, options: Options) => {
    const recipient = await asOperator(options, async (deps, operator) =>
      removeRecipient(deps, operator, (await known(deps, operator, email)).id as RecipientId),
    );
    print(options.json === true, recipient, [`Removed    ${recipient.email}`]);
  });
  return command;
}

function asOperator<T>(options: Options, act: (deps: Deps, operator: Caller) => Promise<T>): Promise<T> {
  return withStores(async (deps) => act(deps, await operatorFor(deps, options.account)));
}

async function known(deps: Deps, operator: Caller, email: string): Promise<RecipientAnswer> {
  const { recipients } = await listRecipients(deps, operator, { email });
  if (recipients[0] === undefined) throw new Error(`there is no recipient ${email}`);
  return recipients[0];
}

function keyText(given: string): string {
  if (given.startsWith('fuselink_')) return given;
  return readFileSync(given === '-' ? 0 : given, 'utf8');
}
