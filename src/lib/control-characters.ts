/** Replaces control characters (ECMA-48) except tabs by `�`: text of a guest or a file must not drive the terminal. */
export function maskControls(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, '\uFFFD');
}
