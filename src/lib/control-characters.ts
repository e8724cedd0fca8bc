/** Control characters in text of others. */

/**
 * The text with `�` for every control character but tab: what a guest or a file says must not drive the
 * terminal of who reads it. See ECMA-48 for what control characters can do.
 */
export function maskControls(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, '\uFFFD');
}
