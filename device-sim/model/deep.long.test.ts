import { expect, test } from 'vitest';
import { deepSearches } from './check.ts';
import { search } from './search.ts';

test.each(deepSearches())('model: the product, $name → safe, and every state can settle', ({ options }) => {
  const { broken, stuck, truncated, stuckStory } = search(options, 'all');
  expect({ broken, stuck, truncated, stuckStory }).toEqual({
    broken: null,
    stuck: 0,
    truncated: false,
    stuckStory: [],
  });
});
