import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SCHEMAS } from './schemas.ts';

const messages = ['messages', 'fleet']
  .map((name) => readFileSync(new URL(`../../sdk/protocol/${name}.ts`, import.meta.url), 'utf8'))
  .join('\n');

/** Field names of an exported interface, those it inherits included. */
function fieldsOf(name: string): string[] {
  const match = new RegExp(`export interface ${name}(?: extends (\\w+))? \\{([^}]*)\\}`).exec(messages);
  if (match === null) throw new Error(`messages.ts has no interface ${name}`);
  const own = [...(match[2] ?? '').matchAll(/^ {2}(\w+)\??:/gm)].map(([, field]) => field ?? '');
  return [...(match[1] === undefined ? [] : fieldsOf(match[1])), ...own];
}

describe('schemas', () => {
  test.each([
    ['Upload', 'UploadAnswer'],
    ['Transfer', 'TransferAnswer'],
    ['Claim', 'ClaimAnswer'],
    ['Key', 'KeyAnswer'],
    ['KeyCreated', 'KeyCreatedAnswer'],
    ['KeyRevoked', 'KeyRevokedAnswer'],
    ['SignIn', 'SignInAnswer'],
    ['Who', 'WhoAnswer'],
    ['Enrolment', 'EnrolmentAnswer'],
    ['Account', 'AccountAnswer'],
    ['User', 'UserAnswer'],
    ['UserCreated', 'UserCreatedAnswer'],
    ['AuditEntry', 'AuditAnswer'],
    ['Device', 'DeviceAnswer'],
    ['FleetDevice', 'FleetDeviceAnswer'],
    ['CampaignMember', 'CampaignMemberAnswer'],
    ['CampaignSample', 'CampaignSample'],
    ['Session', 'SessionAnswer'],
    ['FirstAccount', 'FirstAccountAnswer'],
    ['Limits', 'LimitsAnswer'],
    ['DeviceSelf', 'DeviceSelfAnswer'],
    ['Registration', 'RegistrationAnswer'],
    ['Rotation', 'RotationAnswer'],
    ['Story', 'StoryAnswer'],
    ['Campaign', 'CampaignAnswer'],
    ['Preflight', 'CampaignPreflight'],
    ['Recipient', 'RecipientAnswer'],
    ['SigningKey', 'SigningKeyAnswer'],
  ])('%s: the document and the type %s → the same fields', (schema, type) => {
    const { properties } = SCHEMAS[schema] as { properties: Record<string, object> };
    expect(Object.keys(properties).sort()).toEqual(fieldsOf(type).sort());
  });
});
