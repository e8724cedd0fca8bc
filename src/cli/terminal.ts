/** The streams that the CLI writes to, and whether people look at them. */
import pc from 'picocolors';
import { errorCode, errorText } from '../lib/errors.ts';
import { EXIT } from './exit-codes.ts';

/** The functions that colour a text, or leave it as it is. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Colours that do nothing. */
export const NO_COLORS: Colors = pc.createColors(false);

/** Colours for a stream: only on a terminal, and there only if NO_COLOR and TERM allow it. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/**
 * Ends the process quietly when the reader of its output has gone away (`monocore logs | head`), and with a message
 * when the output cannot be written for another reason (a full disk).
 */
export function endOnBrokenOutput(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`monocore: the output cannot be written: ${errorText(error)}\n`);
    process.exit(EXIT.failed);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
}
