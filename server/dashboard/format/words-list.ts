/** "a, b ,c" → a, b, c. */
export function wordsList(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
