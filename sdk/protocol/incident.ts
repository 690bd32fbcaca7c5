/** Who was shown a key, or a key of the same device. */
export interface IncidentWitness {
  /** An e-mail, or the id of the key that stood for somebody. */
  who: string;
  /** It was the very key that is out; otherwise an earlier or later one of the same device. */
  this_key: boolean;
  at: string;
}

/** A device whose key the same people, or the same place, could have seen. */
export interface IncidentDevice {
  id: string;
  name: string;
  /** `person`, `gateway`, `address`: what it shares with the key that is out. */
  shares: string[];
  state: string;
}

/** A key that is not a device's: nothing rotates it over the air, so somebody replaces it by hand. */
export interface IncidentKey {
  id: string;
  kind: string;
  name: string;
  fingerprint: string;
}

export interface IncidentTransfer {
  id: string;
  state: string;
  created_at: string;
  /** Sealed end to end: whoever holds the link alone cannot read it. */
  end_to_end: boolean;
}

/** What was done about a key that is out, or would be, and what may be compromised. */
export interface IncidentReport {
  dry_run: boolean;
  at: string;
  key: IncidentKey & { state: string; device_id: string | null };
  action: string;
  /** `stopped` now, `stopped-already`, or `would-stop` in a dry run. */
  outcome: string;
  seen_by: IncidentWitness[];
  /** Network addresses the key was used or shown at. */
  addresses: string[];
  gateways: string[];
  /** At most 500 are listed. */
  devices: IncidentDevice[];
  devices_total: number;
  /** To be replaced by hand. */
  keys: IncidentKey[];
  /** At the same addresses; at most 200, newest first. */
  sign_ins: { at: string; who: string; from: string }[];
  sign_ins_total: number;
  /** Sent under the key; at most 200, newest first. */
  transfers: IncidentTransfer[];
  transfers_total: number;
  /** Of them: not read by anybody (before anything was burned), and read or on the way to a reader. */
  unread_total: number;
  read_total: number;
  burned: number;
  /** The campaign that rotates `devices`; null where there is none to rotate, or in a dry run. */
  campaign_id: string | null;
  /** The same in sentences. */
  lines: string[];
}
