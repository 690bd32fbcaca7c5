import { expect, test } from 'vitest';
import { STAGES, tenWeeks } from './weeks.ts';

test.each(STAGES)(
  'ten weeks offline through three campaigns, off %s → back, and on the newest key',
  async (stage) => {
    await expect(tenWeeks('memory', stage)).resolves.toBeUndefined();
  },
  180_000,
);
