/** The processes of a run, as /proc has them. */
import { listPids, readProcessFile, readStat } from '../../src/lib/proc.ts';
import { readCommandLine } from '../helpers/processes/command-lines.ts';
import { listChildren } from '../helpers/processes/usage.ts';

/** A process that has not ended; a zombie has. */
interface FoundProcess {
  readonly pid: number;
  /** Arguments, separated by spaces. */
  readonly commandLine: string;
  /** Leader of a session of its own: what a driver starts is one, and what that forks is not. */
  readonly leads: boolean;
}

/** Null when there is none. */
export function findProcess(pid: number): FoundProcess | null {
  const stat = readStat(pid);
  if (stat === null || 'ZX'.includes(stat.state)) return null;
  return { pid, commandLine: readCommandLine(pid).replaceAll('\0', ' '), leads: stat.session === pid };
}

function listProcesses(): FoundProcess[] {
  return listPids()
    .map(findProcess)
    .filter((found) => found !== null);
}

/** Program beside a VM that has files of the host. */
const HELPER = 'virtiofsd';

/**
 * Pids by service: what has a path in the runtime folder of the service in its arguments and leads a session, helpers
 * aside.
 */
export function findServiceProcesses(runDir: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const start = `${runDir}/`;
  for (const { pid, commandLine, leads } of listProcesses()) {
    const at = leads && !commandLine.includes(HELPER) ? commandLine.indexOf(start) : -1;
    if (at === -1) continue;
    const service = commandLine.slice(at + start.length).split('/')[0]!;
    found.set(service, [...(found.get(service) ?? []), pid]);
  }
  return found;
}

/** Processes of a service: those that lead a session, and their children. */
export function findRun(runDir: string, service: string): number[] {
  const parents = findServiceProcesses(runDir).get(service) ?? [];
  return [...parents, ...parents.flatMap(listChildren)];
}

/** Processes that mention `text` in their arguments, their environment or the name of their control group. */
export function findMentions(text: string): FoundProcess[] {
  return listProcesses().filter(
    ({ pid, commandLine }) =>
      pid !== process.pid &&
      (commandLine.includes(text) || ['environ', 'cgroup'].some((file) => readProcessFile(pid, file)?.includes(text))),
  );
}
