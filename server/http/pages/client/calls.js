/** The three calls of an explicit read, and what their refusals mean. */

const PATIENCE_MS = 600_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A refusal in the server's own words. `again`: whether pressing the button once more may help. */
export async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const error = new Error(problem.detail ?? `The server answered ${response.status}.`);
  error.code = problem.code;
  error.again = response.status !== 410 && response.status !== 404;
  error.retrySeconds = Number(response.headers.get('retry-after')) || null;
  return error;
}

const post = (url, body, headers = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    credentials: 'omit',
  });

/** Takes the lease; throws what the server says against it. */
export async function claimLink(base) {
  const response = await post(`${base}/claim`, {}).catch(() => {
    throw new Error('The server cannot be reached. Nothing was burned: try again.');
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Tells the server that the file is here and right, until it has heard. False where it never could be told. */
export async function acknowledge(lease) {
  const end = Date.now() + PATIENCE_MS;
  for (let waitMs = 500; Date.now() < end; waitMs = Math.min(waitMs * 2, 15_000)) {
    try {
      const response = await post(`${lease.base}/ack`, { sha256: lease.sha256 }, { 'fuselink-claim': lease.claim });
      if (response.ok) return true;
      const { code } = await refusal(response);
      if (code === 'link_burned') return true;
      if (response.status < 500 && code !== 'ack_incomplete') return false;
    } catch {
      // Not reached: the answer may be lost as well as the question. A repeat is answered like the first.
    }
    await pause(waitMs);
  }
  return false;
}
