import { endSession, listSessions } from '../api/account.ts';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Time } from '../parts/time.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { isOwner, leave } from '../state/session.ts';
import { attempt } from '../state/toasts.ts';

/** Who is signed in now, and a way to end it. */
export function Sessions() {
  const loaded = useLoaded('sessions', listSessions);
  const { reload } = loaded;
  useLive(({ action }) => action.startsWith('sign_in.'), reload);
  const end = async (id: string, current: boolean) => {
    if (current) {
      await attempt(() => leave(), 'You are signed out.');
      return;
    }
    await attempt(() => endSession(id), 'The session is ended.');
    reload();
  };
  return (
    <Card
      title="Sessions"
      about={isOwner.value ? 'Everybody who is signed in to the account.' : 'Where you are signed in.'}
      actions={
        <Button onClick={() => void attempt(() => leave(true), 'All of your sessions are ended.')}>
          End all of mine
        </Button>
      }
    >
      <WhenLoaded of={loaded} what="the sessions">
        {(value) => (
          <ul class="rows">
            {value.sessions.map((session) => (
              <li class="row" key={session.id}>
                <span class="two grow">
                  <strong>{session.email}</strong>
                  <span class="soft">
                    from {session.from}
                    {session.current ? ' · this one' : ''}
                  </span>
                </span>
                <span class="two">
                  <span>
                    Since <Time at={session.created_at} />
                  </span>
                  <span class="soft">
                    Ends <Time at={session.expires_at} />
                  </span>
                </span>
                <Button
                  onClick={() => void end(session.id, session.current)}
                  label={`End the session of ${session.email}, from ${session.from}`}
                >
                  End
                </Button>
              </li>
            ))}
          </ul>
        )}
      </WhenLoaded>
    </Card>
  );
}
