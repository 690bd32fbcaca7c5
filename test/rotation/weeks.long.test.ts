import { expect, test } from 'vitest';
import { STAGES, tenWeeks } from './weeks.ts';

test.each(STAGES)(
  'sqlite: ten weeks offline through three campaigns, off %s → back, and on the newest key',
  async (stage) => {
    await expect(tenWeeks('sqlite', stage)).resolves.toBeUndefined();
  },
  120_000,
);
