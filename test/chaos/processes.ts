/** The processes of a run, as /proc has them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A process that has not ended; a zombie has. */
export interface FoundProcess {
  readonly pid: number;
  /** Arguments, separated by spaces. */
  readonly commandLine: string;
  /** Leader of a session of its own: what a driver starts is one, and what that forks is not. */
  readonly leads: boolean;
}

/** Null when there is none. */
export function findProcess(pid: number): FoundProcess | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Behind the name, which may hold anything: state, parent, group, session; see proc(5).
    const [state = '', , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if ('ZX'.includes(state)) return null;
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
    return { pid, commandLine, leads: Number(session) === pid };
  } catch {
    return null;
  }
}

/** All of them. */
export function listProcesses(): FoundProcess[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.map((pid) => findProcess(Number(pid))).filter((found) => found !== null);
}

/** Pids by service: what has a path in the runtime folder of the service in its arguments and leads a session. */
export function findServiceProcesses(runDir: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const start = `${runDir}/`;
  for (const { pid, commandLine, leads } of listProcesses()) {
    const at = leads ? commandLine.indexOf(start) : -1;
    if (at === -1) continue;
    const service = commandLine.slice(at + start.length).split('/')[0]!;
    found.set(service, [...(found.get(service) ?? []), pid]);
  }
  return found;
}

/** Children of the main thread of a process. */
export function findChildren(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Processes that mention `text` in their arguments, their environment or the name of their control group. */
export function findMentions(text: string): FoundProcess[] {
  return listProcesses().filter(
    ({ pid, commandLine }) =>
      pid !== process.pid &&
      (commandLine.includes(text) || ['environ', 'cgroup'].some((file) => readOf(pid, file).includes(text))),
  );
}

function readOf(pid: number, file: string): string {
  try {
    return readFileSync(join('/proc', String(pid), file), 'latin1');
  } catch {
    return '';
  }
}
