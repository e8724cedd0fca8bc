/** Check that each run ended with the exit code that it chose. */
import type { Member } from './fleet.ts';
import type { KillList } from './kill-list.ts';
import type { LedgerRun } from './ledger.ts';
import type { RowBook, ToldRun } from './row-book.ts';

/** 128 + 9 and 128 + 15: a signal ended it. */
const KILLED_CODE = 137;
const TERMINATED_CODE = 143;

/** Result of the comparison. */
export interface ExitCheck {
  readonly checked: number;
  /** In words. */
  readonly wrong: readonly string[];
}

/**
 * Compares what the daemon told with what the services chose.
 *
 * @param ledgers by service; none for VMs
 */
export function checkExits(
  fleet: readonly Member[],
  rows: RowBook,
  ledgers: ReadonlyMap<string, readonly LedgerRun[]>,
  kills: KillList,
): ExitCheck {
  const wrong: string[] = [];
  let checked = 0;
  for (const member of fleet) {
    const { name } = member.service;
    const ended = rows.runs.filter(({ service, end }) => service === name && end !== null);
    checked += ended.length;
    const ledger = ledgers.get(name);
    const odd = ledger
      ? ended.filter((told) => !isRight(told, findRun(ledger, told.pid), kills))
      : unexcused(
          ended.filter((told) => !isVmRight(told, member)),
          member,
          kills,
        );
    for (const told of odd) wrong.push(describe(told, ledger ? findRun(ledger, told.pid) : null));
  }
  return { checked, wrong };
}

/** Pids come again, so of several the latest. */
function findRun(ledger: readonly LedgerRun[], pid: number | null): LedgerRun | null {
  return ledger.findLast((run) => run.pids[0] === pid) ?? null;
}

function isRight({ service, pid, end }: ToldRun, run: LedgerRun | null, kills: KillList): boolean {
  const { exit_code: code, ended_by: endedBy } = end!;
  const isBySignal = code === null || code === KILLED_CODE || code === TERMINATED_CODE;
  // It never came to its first line, or nobody told which process it was.
  if (pid === null) return true;
  if (run === null) return isBySignal;
  const isExcused =
    kills.wasKilled(service, run.pids) ||
    kills.wasFolderless(service, run.pids) ||
    endedBy === 'vm_sigterm' ||
    endedBy === 'vm_sigkill';
  if (isExcused && isBySignal) return true;
  return run.end !== null && code === run.end.code;
}

function isVmRight({ end }: ToldRun, { character }: Member): boolean {
  const { exit_code: code, ended_by: endedBy, reason } = end!;
  if (code === character.askedCode || code === character.ownCode) return true;
  if (endedBy === 'vm_sigterm' || endedBy === 'vm_sigkill') return true;
  // Asked before its command had made itself ready for that.
  return code === TERMINATED_CODE && reason === 'stopped';
}

/** Each kill excuses one; whose folder was deleted cannot be asked. */
function unexcused(odd: readonly ToldRun[], { service }: Member, kills: KillList): readonly ToldRun[] {
  return kills.wasEverFolderless(service.name) ? [] : odd.slice(kills.killsOf(service.name));
}

function describe({ service, pid, end }: ToldRun, run: LedgerRun | null): string {
  const { exit_code, signal, ended_by, reason, error } = end!;
  const chosen = run ? (run.end ? `it chose ${run.end.code}` : 'it was cut off') : 'its choice is not known';
  const told = `exit code ${exit_code}, signal ${signal}, ended by ${ended_by}, reason ${reason}, error ${error}`;
  return `${service}, process ${pid}: ${told}; ${chosen}`;
}
