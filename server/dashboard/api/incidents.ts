import type { IncidentReport } from '#sdk/protocol';
import { call } from './calls.ts';

export interface IncidentForm {
  key: string;
  reason: string;
  action: string;
  burn_unread: boolean;
  rotate: string;
}

/** What would be done about a key that is out; with `go` it is done. The report is the same either way. */
export const declareIncident = (form: IncidentForm, options: { go: boolean }) => {
  const { action, ...rest } = form;
  const said = action === '' ? rest : { ...rest, action };
  return call<IncidentReport>('POST', 'v1/incidents', { body: { ...said, dry_run: !options.go } });
};
