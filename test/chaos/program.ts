/** Program of the services. It prints lines that reveal a missing, doubled or torn one. */

/** Variable by which processes of a run are found, also those that have no path in their arguments. */
export const ENVIRONMENT_MARK = 'CHAOS_DIR';

const PADDING = 'x'.repeat(60);
/** Of a numbered line with its newline, the number aside. */
const LINE_BYTES = 8 + 2 + PADDING.length + 1;

/** Bytes that the numbered lines from `first` to `last` have in the stream. */
export function countBytes(first: number, last: number): number {
  let bytes = 0;
  for (let number = first; number <= last; number += 1) bytes += LINE_BYTES + String(number).length;
  return bytes;
}

/**
 * `sh -c PROGRAM <name> <ledger> <asked code> <burst> <pause> <rounds> <own code>`.
 *
 * Both streams begin with `<run> begin`, go on with `<run> <number> x…` and end with `<run> end <count> <exit code>`. The
 * ledger, if there is one, gets `begin <run> <pid> <parent>` before the first line and `end <run> <stdout lines> <stderr lines>
 * <exit code>` behind the last one: a run that is in it as ended has printed all of that. A signal is only noted, so that
 * no line is counted and not printed; what the shell says of a `sleep` that one ended is no line. For dash and busybox.
 */
export const PROGRAM = `
asked=
if [ "$2" ]; then trap 'asked=1' TERM; else trap '' TERM; fi
ledger=$1 asked_code=$2 burst=$3 pause=$4 rounds=$5 own_code=$6
read -r run </proc/sys/kernel/random/uuid
run=\${run%%-*} out=0 err=0 round=0
note() { if [ "$ledger" ]; then echo "$*" >>"$ledger"; fi; }
finish() {
  echo "$run end $out $1"
  echo "$run end $err $1" >&2
  note "end $run $out $err $1"
  exit "$1"
}
note "begin $run $$ $PPID"
echo "$run begin"
echo "$run begin" >&2
while :; do
  count=0
  while [ "$count" -lt "$burst" ]; do
    count=$((count + 1)) out=$((out + 1))
    echo "$run $out ${PADDING}"
  done
  err=$((err + 1))
  echo "$run $err ${PADDING}" >&2
  if [ "$asked" ]; then finish "$asked_code"; fi
  round=$((round + 1))
  if [ "$round" = "$rounds" ]; then finish "$own_code"; fi
  { sleep "$pause"; } 2>/dev/null
done
`;

/** Content of a line. */
export type ProgramLine =
  | { readonly type: 'begin'; readonly run: string }
  | { readonly type: 'line'; readonly run: string; readonly number: number }
  | { readonly type: 'end'; readonly run: string; readonly count: number; readonly code: number };

const LINE = new RegExp(`^([0-9a-f]{8}) (?:(begin)|(\\d+) ${PADDING}|end (\\d+) (\\d+))$`);

/** Reads a line of a service; null for one that is not whole. */
export function parseProgramLine(text: string): ProgramLine | null {
  const [, run, begin, number, count, code] = LINE.exec(text) ?? [];
  if (run === undefined) return null;
  if (begin !== undefined) return { type: 'begin', run };
  if (number !== undefined) return { type: 'line', run, number: Number(number) };
  return { type: 'end', run, count: Number(count), code: Number(code) };
}
