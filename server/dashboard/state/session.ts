import { computed, signal } from '@preact/signals';
import type { WhoAnswer } from '#sdk/protocol';
import * as api from '../api/account.ts';
import { onSessionOver, Refusal } from '../api/calls.ts';
import { nowMs } from './clock.ts';
import { listen, stopListening } from './live.ts';

/** Who is signed in: undefined until the server has said, null for nobody. */
export const who = signal<WhoAnswer | null | undefined>(undefined);
/** Why one has to sign in again, in words. */
export const endedBecause = signal<string | null>(null);

export const mayChange = computed(() => who.value != null && who.value.role !== 'auditor' && who.value.may_manage);
export const isOwner = computed(() => who.value?.role === 'owner' && who.value.may_manage);

/** Minutes until the session ends by itself; null without one. */
export const minutesLeft = computed(() => {
  const expires = who.value?.expires_at;
  return expires == null ? null : Math.max(0, Math.ceil((Date.parse(expires) - nowMs.value) / 60_000));
});

const WORDS: Record<string, string> = {
  token_expired:
    'Your session has ended by itself, as every session does after an hour. Sign in to go on where you were.',
  token_invalid: 'Your session was ended: somebody signed it out, or its API key was revoked. Sign in again.',
};

function over(code: string): void {
  if (who.value == null) return;
  who.value = null;
  endedBecause.value = WORDS[code] ?? 'You are not signed in any more. Sign in to go on where you were.';
  stopListening();
}

/** Asks the server who this browser is. */
export async function startSession(): Promise<void> {
  onSessionOver(over);
  await refresh();
}

async function refresh(): Promise<void> {
  try {
    const answer = await api.whoAmI();
    who.value = answer.via === 'session' ? answer : null;
    if (who.value !== null) listen(over);
  } catch (error) {
    if (error instanceof Refusal && error.status !== 401) endedBecause.value = error.message;
    who.value = null;
  }
}

/** Throws Refusal. */
export async function enter(form: api.SignInForm): Promise<{ recoveryCodesLeft: number }> {
  const answer = await api.signIn(form);
  endedBecause.value = null;
  await refresh();
  return { recoveryCodesLeft: answer.recovery_codes_left };
}

export async function leave(everywhere = false): Promise<void> {
  await api.signOut(everywhere).catch((error) => {
    // Signed out already is signed out.
    if (!(error instanceof Refusal) || error.status !== 401) throw error;
  });
  stopListening();
  endedBecause.value = null;
  who.value = null;
}
