import { readSettings, wire } from '#server';
import { createAccount, operatorOf } from '../../server/usecases/account/create-account.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';

/** Makes an account with many devices: each has its own 60 uploads a minute, as in life. */
export async function enrolForBench(env: Record<string, string | undefined>, devices: number): Promise<string[]> {
  const wired = await wire(readSettings(env), () => {});
  try {
    const account = await createAccount(wired.deps, { email: 'bench@example.com' });
    const operator = operatorOf(account.accountId, account.row);
    const made = await Promise.all(
      Array.from({ length: devices }, (_, i) => enrolDevice(wired.deps, operator, { name: `bench-${i}` })),
    );
    return made.map((device) => device.key);
  } finally {
    await wired.close();
  }
}
