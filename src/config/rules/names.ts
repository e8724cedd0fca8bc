/** Rules on names: each is given once, and whatever refers to one finds it. */
import type { Path } from '../languages/positions.ts';
import { quote } from '../languages/syntax.ts';
import { didYouMean, formatPath, type PathProblem, valueProblem } from '../problems.ts';
import { replicaNames } from '../schema/ports.ts';
import type { ParsedTable } from '../schema/types.ts';

/** Longest name, as in `schema/values.ts`. */
const MAX_NAME_CHARS = 63;
/** Suggestions take their time, and nobody reads more of them. */
export const MAX_SUGGESTIONS = 100;

/** Names as written, faulty ones as well: a reference to a faulty name is not a second problem. */
export function namesOf(tables: readonly ParsedTable<unknown>[]): ReadonlySet<string> {
  return new Set(tables.map(({ table }) => table.name).filter((name) => typeof name === 'string'));
}

type Named = { readonly name: string; readonly replicas?: number | undefined };

/** Names that another table has already. Those of replicas count, which may be the name of another service. */
export function findRepeatedNames(tables: readonly ParsedTable<Named>[]): PathProblem[] {
  const owners = new Map<string, Path>();
  return tables.flatMap(({ path, values: { name, replicas } }) => {
    if (name === undefined) return [];
    const names = replicaNames({ name, replicas });
    const taken = names.find((candidate) => owners.has(candidate));
    for (const candidate of names) if (!owners.has(candidate)) owners.set(candidate, path);
    const at = [...path, 'name'];
    if (taken !== undefined) {
      return [valueProblem(at, `${quote(taken)} is already the name of ${formatPath(owners.get(taken)!)}`)];
    }
    const last = names.at(-1)!;
    if (replicas === undefined || last.length <= MAX_NAME_CHARS) return [];
    const limit = `names have at most ${MAX_NAME_CHARS} characters`;
    return [valueProblem(at, `is too long: a replica would be ${quote(last)}, and ${limit}`)];
  });
}

/** A reference to a name that does not exist. */
export function unknownName(path: Path, kind: string, name: string, known: ReadonlySet<string>): PathProblem {
  return valueProblem(path, `there is no ${kind} ${quote(name)}${didYouMean(name, known)}`);
}
