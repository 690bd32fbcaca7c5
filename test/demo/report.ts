import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TransferAnswer } from '#sdk/protocol';
import { sha256OfFile } from './files.ts';
import type { World } from './world.ts';

/**
 * What happened, as the server and the disk tell it: every figure is read back from the API or from files, none is a
 * counter of the demo's own. Adds to `failures` whatever does not fit what was sent.
 */
export async function report(world: World): Promise<string[]> {
  const transfers = await allTransfers(world);
  const delivered = transfers.filter((transfer) => transfer.state === 'burned');
  const unread = transfers.filter(
    (transfer) => transfer.state === 'ready' || transfer.state === 'claimed' || transfer.state === 'uploading',
  );
  const originals = await Promise.all(world.sent.map((file) => sha256OfFile(file.path)));
  const receipts = delivered.map((transfer) => transfer.sha256 ?? '');
  for (const [i, digest] of originals.entries()) {
    const at = receipts.indexOf(digest);
    if (at === -1)
      world.failures.push(
        `${world.sent[i]?.filename} (${world.sent[i]?.by}): the server has no receipt of its delivery`,
      );
    else receipts.splice(at, 1);
  }
  if (unread.length > 0) world.failures.push(`${unread.length} transfers were left unread`);
  const left = await storedBlobs(world);
  if (left.files > 0) world.failures.push(`${left.files} sealed files were left on disk after their burn`);

  const bytes = delivered.reduce((sum, transfer) => sum + transfer.size, 0);
  const by = (proof: string) => delivered.filter((transfer) => transfer.delivered_by === proof).length;
  return [
    `transfers known to the server   ${transfers.length}`,
    `  delivered                     ${delivered.length} (${(bytes / 1e6).toFixed(1)} MB; proven by close ${by('close')}, by ack ${by('ack')})`,
    `  burned unread by their owner  ${transfers.filter((transfer) => transfer.state === 'revoked').length}`,
    `  still unread                  ${unread.length}`,
    `sealed files left on disk       ${left.files} (${left.bytes} bytes)`,
  ];
}

async function allTransfers(world: World): Promise<TransferAnswer[]> {
  const all: TransferAnswer[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const answer = await fetch(`${world.url}/v1/transfers?limit=200${query}`, {
      headers: { 'x-api-key': world.accountKey },
    });
    const page = (await answer.json()) as { transfers: TransferAnswer[]; next_cursor: string | null };
    all.push(...page.transfers);
    cursor = page.next_cursor;
  }
  return all;
}

async function storedBlobs(world: World): Promise<{ files: number; bytes: number }> {
  const entries = await readdir(join(world.dataFolder, 'blobs'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
