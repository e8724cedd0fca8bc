/** Masks control characters (ECMA-48), so that text from a guest, a registry or a file cannot control a terminal. */

/** Bidirectional formatting characters (Unicode, UAX 9), which can make one text look like another. */
export const DIRECTIONS = '\\u202A-\\u202E\\u2066-\\u2069';
const ONE_LINE = new RegExp(`[^\\P{Cc}\\t]|[${DIRECTIONS}]`, 'gu');
const LINES = new RegExp(`[^\\P{Cc}\\t\\n]|[${DIRECTIONS}]`, 'gu');
const ESC = String.fromCharCode(0x1b);
/** Escape sequence that sets colours: SGR, section 8.3.117. */
const COLORS = `${ESC}\\[[\\d;:]*m`;
const COLORED_LINES = new RegExp(`(${COLORS})|[^\\P{Cc}\\t\\n]|[${DIRECTIONS}]`, 'gu');

/** Replaces all control characters except tabs by `�`, in a text of one line. */
export function maskControls(text: string): string {
  return text.replace(ONE_LINE, '\uFFFD');
}

/** Replaces all control characters except tabs and newlines by `�`. */
export function maskLines(text: string): string {
  return text.replace(LINES, '\uFFFD');
}

/**
 * Replaces all control characters except tabs, newlines and colours by `�`, in a text of our own that quotes foreign
 * text.
 */
export function maskColoredLines(text: string): string {
  return text.replace(COLORED_LINES, (_, colors: string | undefined) => colors ?? '\uFFFD');
}

/** JSON with every control character escaped: JSON.stringify leaves DEL and C1 unescaped. */
export function toPrintableJson(value: unknown, indent?: number): string {
  return escapeJson(JSON.stringify(value, null, indent));
}

/** Escapes the control characters in a JSON text; between tokens it contains no control characters except newlines. */
export function escapeJson(json: string): string {
  return json.replace(LINES, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
