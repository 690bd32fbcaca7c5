import { useState } from 'preact/hooks';

/** A form on its way to the server: sent once at a time, and what it was refused for stays until the next try. */
export interface Submission {
  busy: boolean;
  /** Null where nothing was refused. */
  failed: unknown;
  submit(event: Event): Promise<void>;
}

/** `act` does what the form is for; `onRefused` is called where it throws, for what must not stay in a field. */
export function useSubmission(act: () => Promise<unknown>, onRefused?: () => void): Submission {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  return {
    busy,
    failed,
    async submit(event) {
      event.preventDefault();
      setBusy(true);
      setFailed(null);
      try {
        await act();
      } catch (error) {
        setFailed(error);
        onRefused?.();
      }
      setBusy(false);
    },
  };
}
