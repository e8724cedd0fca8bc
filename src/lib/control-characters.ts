/**
 * Replaces every control character except tab by `�`: text of a guest or a file must not drive the reader's terminal, see
 * ECMA-48.
 */
export function maskControls(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, '\uFFFD');
}
