/** The shape of `vectors/signed-requests.json`; `sdk/SIGNED.md` says what each is. Bytes are hex, texts are ASCII. */
export interface SignedVectors {
  key: string;
  fingerprint: string;
  device_id: string;
  key_id: string;
  device_secret: string;
  signing_key: string;
  answering_key: string;
  wrapping_key: string;
  link_key: string;
  requests: SignedRequestVector[];
  answers: SignedAnswerVector[];
  wrapped_offer: { key: string; wrapped: string };
  wrapped_link: { token: string; wrapped: string; path: string };
}

export interface HeaderField {
  name: string;
  value: string;
}

interface Signed {
  name: string;
  /** The fields that are covered by name, in the order of the component list. */
  headers: HeaderField[];
  /** Hex. */
  body: string;
  content_digest: string;
  signature_base: string;
  signature_input: string;
  signature: string;
}

export interface SignedRequestVector extends Signed {
  method: string;
  target: string;
  nonce: string;
}

export interface SignedAnswerVector extends Signed {
  /** Name of the request that it answers. */
  request: string;
  status: number;
}
