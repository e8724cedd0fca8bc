/** Progress on a terminal: rows that are redrawn in place, one per service or per image layer. */
import { DefaultRenderer, Listr, ListrLogger, type ListrTaskWrapper, ProcessOutput } from 'listr2';
import { maskLines } from '../../lib/control-characters.ts';
import { type Deferred, deferred } from '../../lib/promises.ts';
import { formatDuration } from '../../lib/units.ts';
import type { ImageEvent } from '../../protocol/images.ts';
import { isChanging, outcomeText, progressText, type Verb } from '../render/status-text.ts';
import { padderOf } from '../render/terminal-text.ts';
import { type BlobState, blobRow, type Downloads, eventText, RateMeter } from './downloads.ts';
import type { Progress } from './progress.ts';

/** Elapsed times are shown in tenths of a second. */
const REFRESH_INTERVAL_MS = 100;

type End = 'done' | 'failed' | 'left';

interface Row {
  /** May have several lines. */
  title(): string;
  task: ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof DefaultRenderer> | null;
  readonly end: Deferred<End>;
}

/**
 * Shows the services `names` in that order.
 *
 * @param stdout the terminal; other output to it and to `stderr` appears after the rows
 */
export function createTerminalProgress(
  verb: Verb,
  names: readonly string[],
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
): Progress {
  const pad = padderOf(names);
  const services = new Map(names.map((name) => [name, createServiceRow(pad(name))]));
  const close = showRows([...services.values()], stdout, stderr);
  return {
    update(service) {
      const row = services.get(service.name);
      if (!row) return;
      if (isChanging(service)) row.startedAt ??= performance.now();
      row.settledAt = isChanging(service) ? null : (row.settledAt ?? performance.now());
      row.text = (nowMs) => progressText(service, nowMs);
    },
    finish(outcome) {
      const row = services.get(outcome.service.name);
      if (!row) return;
      row.text = (nowMs) => outcomeText(verb, outcome, nowMs);
      row.end.resolve(outcome.outcome === 'failed' ? 'failed' : 'done');
    },
    close,
  };
}

function createServiceRow(name: string) {
  return {
    title() {
      const elapsedMs = this.startedAt === null ? null : (this.settledAt ?? performance.now()) - this.startedAt;
      return rowTitle(name, this.text(Date.now()), elapsedMs);
    },
    task: null,
    end: deferred<End>(),
    /** @param _nowMs milliseconds since the epoch */
    text: (_nowMs: number): string => 'waiting',
    /** `performance.now()` at the first change of its status; null while the service waits for its turn. */
    startedAt: null as number | null,
    /** `performance.now()` when it last settled; null while it is changing. */
    settledAt: null as number | null,
  };
}

/**
 * Row of a service: `web  booting 1.2 s`.
 *
 * @param name padded by the caller
 * @param elapsedMs null for a service whose turn has not come
 */
export function rowTitle(name: string, text: string, elapsedMs: number | null): string {
  if (elapsedMs === null) return `${name}  ${text}`;
  return `${name}  ${text} ${elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatDuration(elapsedMs)}`;
}

/** Shows a bar for each layer of the image being pulled, below the lines for finished steps. */
export function createTerminalDownloads(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): Downloads {
  const lines: string[] = [];
  /** Name of the image being pulled. */
  let pulling: string | null = null;
  let blobs = new Map<string, BlobState & { readonly meter: RateMeter }>();
  const change = (digest: string, changed: Partial<BlobState>) => void Object.assign(blobs.get(digest) ?? {}, changed);

  const title = () => {
    for (const blob of blobs.values()) {
      if (blob.phase !== 'running') continue;
      // A stalled download sends no events, but its displayed rate must fall.
      blob.meter.update(blob.doneBytes, performance.now());
      blob.bytesPerSecond = blob.meter.bytesPerSecond;
    }
    // Leaves room for the mark and the indentation, so that rows never wrap.
    const columns = (stdout.columns || 80) - 4;
    const bars = visible([...blobs.values()], stdout.rows || 24).map((line) => [...line].slice(0, columns).join(''));
    return [...lines, ...bars].join('\n');
  };
  const row: Row = { title, task: null, end: deferred<End>() };
  const close = showRows([row], stdout, stderr);
  return {
    handle(event: ImageEvent) {
      switch (event.type) {
        case 'blob': {
          const { digest, size_bytes: sizeBytes, present } = event;
          const phase = present ? 'present' : 'waiting';
          blobs.set(digest, { digest, sizeBytes, doneBytes: 0, phase, bytesPerSecond: null, meter: new RateMeter() });
          return;
        }
        case 'bytes':
          return change(event.digest, { phase: 'running', doneBytes: event.done_bytes });
        case 'kept':
          return change(event.digest, { phase: 'kept' });
        case 'image':
          pulling = event.name;
          break;
        case 'stored':
          lines.push(...[...blobs.values()].map(blobRow));
          blobs = new Map();
      }
      const text = eventText(event);
      if (text !== null) lines.push(text);
    },
    close(how) {
      const isEmpty = lines.length === 0 && blobs.size === 0;
      if (how === 'failed' && (pulling !== null || isEmpty))
        lines.push(pulling === null ? 'failed' : `${pulling}: failed`);
      row.end.resolve(how);
      return close();
    },
  };
}

/** Rows that fit on the screen: the running ones, and a line that counts the finished ones. */
function visible(states: readonly BlobState[], screenLines: number): string[] {
  const room = Math.max(1, screenLines - 2);
  if (states.length <= room) return states.map(blobRow);
  const running = states.filter(({ phase }) => phase === 'running').slice(0, room - 1);
  const done = states.filter(({ phase }) => phase === 'kept' || phase === 'present').length;
  return [...running.map(blobRow), `${done} of ${states.length} layers are present`];
}

/** Masks control characters: reasons of failures and details of services come from outside. */
const titleOf = (row: Row): string => maskLines(row.title());

/** Draws the rows until the returned function is called; rows that have not ended by then stay as they are. */
function showRows(rows: readonly Row[], stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): () => Promise<void> {
  const rendererOptions = {
    logger: new ListrLogger({ useIcons: true, toStderr: [], processOutput: new ProcessOutput(stdout, stderr) }),
  };
  const list = new Listr<unknown, typeof DefaultRenderer, typeof DefaultRenderer>(
    rows.map((row) => ({
      title: titleOf(row),
      task: async (_context, task): Promise<void> => {
        row.task = task;
        const how = await row.end.promise;
        task.title = titleOf(row);
        if (how === 'left') task.skip(titleOf(row));
        if (how === 'failed') throw new Error(titleOf(row));
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      // The command handles Ctrl-C itself.
      registerSignalListeners: false,
      // The caller has checked `stdout`; listr2 would check process.stdout instead.
      renderer: DefaultRenderer,
      fallbackRenderer: DefaultRenderer,
      rendererOptions,
      fallbackRendererOptions: rendererOptions,
    },
  );
  const shown = list.run();
  const refresh = setInterval(() => {
    for (const row of rows) if (row.task) row.task.title = titleOf(row);
  }, REFRESH_INTERVAL_MS);
  return async () => {
    clearInterval(refresh);
    for (const row of rows) row.end.resolve('left');
    await shown;
  };
}
