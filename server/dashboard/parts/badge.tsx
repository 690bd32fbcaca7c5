import type { StateWords } from '../format/words.ts';

/** A state as a word with a tone; what it means is in its title. */
export function Badge({ words }: { words: StateWords }) {
  return (
    <span class={`badge ${words.tone}`} title={words.means === '' ? undefined : words.means}>
      {words.text}
    </span>
  );
}

export function Tags({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return null;
  return (
    <span class="tags">
      {tags.map((tag) => (
        <span class="tag" key={tag}>
          {tag}
        </span>
      ))}
    </span>
  );
}
