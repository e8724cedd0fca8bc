/** Progress on a terminal: a row for each service, redrawn in place. */
import { DefaultRenderer, Listr, ListrLogger, type ListrTaskWrapper, ProcessOutput } from 'listr2';
import { formatDuration } from '../../lib/units.ts';
import { isChanging, outcomeText, progressText, type Verb } from '../render/status-text.ts';
import type { Progress } from './progress.ts';

/** Tenths of a second are shown. */
const REFRESH_INTERVAL_MS = 100;

type End = 'done' | 'failed' | 'left';

interface Row {
  /** @param nowMs milliseconds since the epoch */
  text: (nowMs: number) => string;
  /** `performance.now()` of the first change of its status; null while the service waits for its turn. */
  startedAt: number | null;
  /** `performance.now()` when it last came to rest; null while it changes. */
  settledAt: number | null;
  task: ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof DefaultRenderer> | null;
  readonly ended: Promise<End>;
  readonly end: (how: End) => void;
}

/**
 * Shows the services in `names`, in that order.
 *
 * @param stdout the terminal; other output to it and to `stderr` appears after the rows
 */
export function createTerminalProgress(
  verb: Verb,
  names: readonly string[],
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
): Progress {
  const width = Math.max(0, ...names.map((name) => name.length));
  const rows = new Map(names.map((name) => [name, createRow()]));

  function title(name: string, row: Row): string {
    const elapsedMs = row.startedAt === null ? null : (row.settledAt ?? performance.now()) - row.startedAt;
    return rowTitle(name.padEnd(width), row.text(Date.now()), elapsedMs);
  }

  const rendererOptions = {
    logger: new ListrLogger({ useIcons: true, toStderr: [], processOutput: new ProcessOutput(stdout, stderr) }),
  };
  const list = new Listr<unknown, typeof DefaultRenderer, typeof DefaultRenderer>(
    [...rows].map(([name, row]) => ({
      title: title(name, row),
      task: async (_context, task): Promise<void> => {
        row.task = task;
        const how = await row.ended;
        task.title = title(name, row);
        if (how === 'left') task.skip(title(name, row));
        if (how === 'failed') throw new Error(title(name, row));
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      // The command handles Ctrl-C.
      registerSignalListeners: false,
      // The caller has checked `stdout`; listr2 would check process.stdout.
      renderer: DefaultRenderer,
      fallbackRenderer: DefaultRenderer,
      rendererOptions,
      fallbackRendererOptions: rendererOptions,
    },
  );
  const shown = list.run();
  const refresh = setInterval(() => {
    for (const [name, row] of rows) if (row.task) row.task.title = title(name, row);
  }, REFRESH_INTERVAL_MS);

  return {
    update(service) {
      const row = rows.get(service.name);
      if (!row) return;
      if (isChanging(service)) row.startedAt ??= performance.now();
      row.settledAt = isChanging(service) ? null : performance.now();
      row.text = (nowMs) => progressText(service, nowMs);
    },
    finish(outcome) {
      const row = rows.get(outcome.service.name);
      if (!row) return;
      row.text = (nowMs) => outcomeText(verb, outcome, nowMs);
      row.end(outcome.outcome === 'failed' ? 'failed' : 'done');
    },
    async close() {
      clearInterval(refresh);
      for (const row of rows.values()) row.end('left');
      await shown;
    },
  };
}

function createRow(): Row {
  let end: (how: End) => void = () => {};
  const ended = new Promise<End>((resolve) => {
    end = resolve;
  });
  return { text: () => 'waiting', startedAt: null, settledAt: null, task: null, ended, end };
}

/**
 * `web  booting 1.2 s`.
 *
 * @param name padded by the caller
 * @param elapsedMs null for a service whose turn has not come
 */
export function rowTitle(name: string, text: string, elapsedMs: number | null): string {
  return elapsedMs === null ? `${name}  ${text}` : `${name}  ${text} ${formatElapsed(elapsedMs)}`;
}

function formatElapsed(elapsedMs: number): string {
  return elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatDuration(elapsedMs);
}
