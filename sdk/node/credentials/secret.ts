import { inspect } from 'node:util';

const MASK = '[secret]';

/**
 * A text that must not be seen by accident: logging, inspecting, JSON and string concatenation show `[secret]`. Only
 * `reveal()` gives it, so that every place where a key leaves can be found by that word.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
