/** Downloads on a terminal: a bar per layer, drawn anew in place. */
import type { ImageEvent } from '../../protocol/images.ts';
import { type BlobState, blobRow, type Downloads, eventText, RateMeter } from './downloads.ts';

const REFRESH_INTERVAL_MS = 100;
/** ECMA-48: cursor up (CUU), erase to the end of the display (ED). */
const ESC = '\x1b';
const eraseUp = (lines: number) => (lines === 0 ? '' : `${ESC}[${lines}A\r${ESC}[J`);

interface Row {
  state: BlobState;
  readonly meter: RateMeter;
}

/**
 * Rows of the image that is being pulled, below the lines that stay.
 *
 * @param out the terminal; nobody else writes to it until the end
 * @param now milliseconds that only grow
 */
export function createTerminalDownloads(
  out: Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>,
  now: () => number = () => performance.now(),
): Downloads {
  let rows = new Map<string, Row>();
  let drawnLines = 0;

  function draw(above: readonly string[] = []): void {
    const columns = out.columns || 80;
    // A wrapped row could not be erased; what stays above may wrap.
    const shown = visible([...rows.values()], out.rows || 24).map((line) => [...line].slice(0, columns - 1).join(''));
    out.write(`${eraseUp(drawnLines)}${[...above, ...shown].map((line) => `${line}\n`).join('')}`);
    drawnLines = shown.length;
  }

  /** Leaves the rows as they are, for good. */
  function settle(): void {
    draw();
    rows = new Map();
    drawnLines = 0;
  }

  function change(digest: string, changed: Partial<BlobState>): void {
    const row = rows.get(digest);
    if (row) row.state = { ...row.state, ...changed };
  }

  const refresh = setInterval(() => {
    if (rows.size === 0) return;
    // A download that stands still says nothing, and its rate falls.
    for (const { state, meter } of rows.values()) {
      if (state.phase !== 'running') continue;
      meter.update(state.doneBytes, now());
      change(state.digest, { bytesPerSecond: meter.bytesPerSecond });
    }
    draw();
  }, REFRESH_INTERVAL_MS);

  return {
    handle(event: ImageEvent) {
      switch (event.type) {
        case 'blob': {
          const { digest, size_bytes: sizeBytes, present } = event;
          const phase = present ? 'present' : 'waiting';
          rows.set(digest, {
            state: { digest, sizeBytes, doneBytes: 0, phase, bytesPerSecond: null },
            meter: new RateMeter(),
          });
          return;
        }
        case 'bytes':
          return change(event.digest, { phase: 'running', doneBytes: event.done_bytes });
        case 'kept':
          return change(event.digest, { phase: 'kept' });
        case 'stored':
          settle();
          return draw([eventText(event) ?? '']);
        default:
          return draw([eventText(event) ?? '']);
      }
    },
    close() {
      clearInterval(refresh);
      settle();
    },
  };
}

/** What fits on the screen: what lies above it cannot be drawn anew. Those that are done go first. */
function visible(rows: readonly Row[], screenLines: number): string[] {
  const room = Math.max(1, screenLines - 2);
  if (rows.length <= room) return rows.map(({ state }) => blobRow(state));
  const busy = rows.filter(({ state }) => state.phase === 'running').slice(0, room - 1);
  const done = rows.filter(({ state }) => state.phase === 'kept' || state.phase === 'present').length;
  return [...busy.map(({ state }) => blobRow(state)), `${done} of ${rows.length} layers are here`];
}
