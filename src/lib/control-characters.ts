/** Control characters (ECMA-48), which must not drive a terminal when they come from a guest, a registry or a file. */

/** Directions of text (Unicode, UAX 9), which can make one thing look like another. */
const DIRECTIONS = '\\u202A-\\u202E\\u2066-\\u2069';
const ONE_LINE = new RegExp(`[^\\P{Cc}\\t]|[${DIRECTIONS}]`, 'gu');
const LINES = new RegExp(`[^\\P{Cc}\\t\\n]|[${DIRECTIONS}]`, 'gu');
const ESC = String.fromCharCode(0x1b);
/** A sequence that sets colours: SGR, section 8.3.117. */
const COLORS = `${ESC}\\[[\\d;:]*m`;
const COLORED_LINES = new RegExp(`(${COLORS})|[^\\P{Cc}\\t\\n]|[${DIRECTIONS}]`, 'gu');

/** Replaces all but tabs by `�`, in a text on one line. */
export function maskControls(text: string): string {
  return text.replace(ONE_LINE, '\uFFFD');
}

/** Replaces all but tabs and newlines by `�`. */
export function maskLines(text: string): string {
  return text.replace(LINES, '\uFFFD');
}

/** Replaces all but tabs, newlines and colours by `�`, in a text of our own with parts that are not. */
export function maskColoredLines(text: string): string {
  return text.replace(COLORED_LINES, (_, colors: string | undefined) => colors ?? '\uFFFD');
}

/** JSON with every control character escaped: JSON.stringify leaves DEL and C1 as they are. */
export function toPrintableJson(value: unknown, indent?: number): string {
  return escapeJson(JSON.stringify(value, null, indent));
}

/** Escapes the control characters in a JSON text, of which only a newline can be between its tokens. */
export function escapeJson(json: string): string {
  return json.replace(LINES, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
