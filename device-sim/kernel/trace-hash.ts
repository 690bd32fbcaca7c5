/** Four lanes of 32 bits, mixed as MurmurHash3 does: not against an attacker, but no two different runs look alike. */
export class TraceHash {
  #a = 0x243f6a88;
  #b = 0x85a308d3;
  #c = 0x13198a2e;
  #d = 0x03707344;

  /** Mixes in one number: whole, up to 2^53. */
  add(value: number): void {
    const low = value | 0;
    const high = (value / 4294967296) | 0;
    this.#a = Math.imul(this.#a ^ low, 0x9e3779b1);
    this.#a = (this.#a << 15) | (this.#a >>> 17);
    this.#b = (Math.imul(this.#b ^ high, 0x85ebca77) + this.#a) | 0;
    this.#c = (Math.imul(this.#c ^ this.#b, 0xc2b2ae3d) + low) | 0;
    this.#c = (this.#c << 13) | (this.#c >>> 19);
    this.#d = (Math.imul(this.#d ^ this.#c, 0x27d4eb2f) + this.#a) | 0;
  }

  addText(text: string): void {
    this.add(text.length);
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
  }

  /** 32 hex characters. */
  hex(): string {
    return [this.#a, this.#b, this.#c, this.#d].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
