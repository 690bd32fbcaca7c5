const texts = new WeakMap<object, string>();

/** The value as JSON, worked out once an object. Only for plain data that is never changed. */
export function textOf(value: object): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  texts.set(value, text);
  return text;
}

/** Keeps one object for every distinct value, so that equal parts of worlds are the same object and have one number. */
export class Pool {
  readonly #byText = new Map<string, object>();
  readonly #numbers = new Map<object, number>();

  /** The one object that stands for this value (plain data with a fixed order of properties). */
  intern<Value extends object>(value: Value): Value {
    if (this.#numbers.has(value)) return value;
    const text = textOf(value);
    const known = this.#byText.get(text);
    if (known !== undefined) return known as Value;
    this.#byText.set(text, value);
    this.#numbers.set(value, this.#numbers.size);
    return value;
  }

  /** The number of an interned object. Throws TypeError for any other. */
  numberOf(value: object): number {
    const number = this.#numbers.get(value);
    if (number === undefined) throw new TypeError('expected an interned object');
    return number;
  }
}

/** A function's results by a text that names its arguments. */
export class Memo<Result> {
  readonly #results = new Map<string, Result>();

  get(name: string, make: () => Result): Result {
    const known = this.#results.get(name);
    if (known !== undefined) return known;
    const made = make();
    this.#results.set(name, made);
    return made;
  }
}
