import { operator, type Step } from '../world.ts';

/** A key that is revoked stops with the very next request. */
export const revokeKey: Step = {
  title: 'A leaked key is revoked',
  async run(world) {
    const created = await operator(world.dataFolder, 'key', 'create', '--name', 'leaked');
    const send = () =>
      fetch(`${world.url}/v1/upload`, {
        method: 'POST',
        headers: { authorization: `Bearer ${String(created.key)}`, 'x-filename': 'a.txt' },
        body: 'a',
      });
    const before = await send();
    const { id } = (await before.json()) as { id?: string };
    if (before.status !== 201) world.failures.push(`a new key: expected 201, got ${before.status}`);
    await operator(world.dataFolder, 'key', 'revoke', String(created.id));
    const after = await send();
    const { code } = (await after.json()) as { code?: string };
    if (after.status !== 401 || code !== 'key_revoked')
      world.failures.push(`a revoked key: expected 401 key_revoked, got ${after.status} ${code ?? ''}`);
    const burn = await fetch(`${world.url}/v1/transfers/${id}`, {
      method: 'DELETE',
      headers: { 'x-api-key': world.accountKey },
    });
    if (burn.status !== 200) world.failures.push(`burning what a revoked key sent: expected 200, got ${burn.status}`);
    world.say('accepted before, 401 key_revoked right after; what it had sent was burned unread');
  },
};
