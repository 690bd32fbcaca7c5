import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  loading: boolean;
  /** Asks again; what is there stays until the answer has come. */
  reload(): void;
  /** Puts an answer in place that another call brought. */
  put(value: T): void;
}

/** What a page is about, asked for again whenever `key` changes. A late answer to an earlier question is dropped. */
export function useLoaded<T>(key: string, load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string; value: T | null; error: unknown; loading: boolean }>({
    key,
    value: null,
    error: null,
    loading: true,
  });
  const asked = useRef(0);
  const current = useRef(load);
  current.current = load;
  const reload = useCallback(() => {
    const turn = ++asked.current;
    setState((before) => ({ ...before, loading: true }));
    current.current().then(
      (value) => {
        if (turn === asked.current) setState({ key, value, error: null, loading: false });
      },
      (error: unknown) => {
        if (turn === asked.current) setState((before) => ({ ...before, error, loading: false }));
      },
    );
  }, [key]);
  useEffect(() => {
    setState({ key, value: null, error: null, loading: true });
    reload();
    return () => {
      asked.current++;
    };
  }, [key]);
  const put = useCallback((value: T) => setState({ key, value, error: null, loading: false }), [key]);
  return { value: state.value, error: state.error, loading: state.loading, reload, put };
}
