/**
 * References to variables in values of `envs`: `${NAME}` and `${NAME:-default}`, the forms of POSIX sh, 2.6.2. `$$` is a
 * `$`, and one before anything else is itself. A default ends at the first `}`, has no `${` in it, and is taken as it is.
 */

/** A `$` that means something, and a `${` that nothing of this fits, alone in the last group. */
const REFERENCE = /\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\}|(\{))/g;

/** What is wrong with a value. */
export type VariableFault =
  /** A reference that is not of the forms above; `at` is where its `$` stands, in UTF-16 units. */
  | { readonly type: 'malformed'; readonly at: number }
  /** A variable without a default that is not set. */
  | { readonly type: 'unset'; readonly name: string };

/** What a value stands for, or the first thing that is wrong with it. */
export type Interpolation =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly fault: VariableFault };

/**
 * Replaces the references in `text`; what is put in is not looked at again. Pure.
 *
 * @param lookup the value of a variable; undefined where it is not set. A default holds for an empty one, too
 */
export function interpolate(text: string, lookup: (name: string) => string | undefined): Interpolation {
  const faults: VariableFault[] = [];
  const value = text.replaceAll(
    REFERENCE,
    (_, dollar, name: string | undefined, standIn: string | undefined, ...rest) => {
      const [, at] = rest as [string | undefined, number];
      if (dollar !== undefined) return '$';
      if (name === undefined) {
        faults.push({ type: 'malformed', at });
        return '';
      }
      const found = lookup(name);
      if (standIn !== undefined) return found || standIn;
      if (found === undefined) faults.push({ type: 'unset', name });
      return found ?? '';
    },
  );
  const [fault] = faults;
  return fault ? { ok: false, fault } : { ok: true, value };
}
