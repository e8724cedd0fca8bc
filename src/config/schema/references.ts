/**
 * References to variables in values of `envs`: `${NAME}` and `${NAME:-default}`, the forms of POSIX sh, 2.6.2. `$$` stands
 * for a `$`; any other `$` stands for itself. A default ends at the first `}`, has no `${` in it, and is taken literally.
 */

/** A `$` with a meaning; a malformed `${` is alone in the last group. */
const REFERENCE = /\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\}|(\{))/g;

type VariableFault =
  /** A reference in no form above; `at` is the position of its `$`, in UTF-16 units. */
  | { readonly type: 'malformed'; readonly at: number }
  /** A variable without a default that is not set. */
  | { readonly type: 'unset'; readonly name: string };

type Interpolation =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly fault: VariableFault };

/**
 * Replaces the references in `text`; inserted text is not resolved again. `lookup` returns undefined for a variable that is
 * not set. A default replaces an empty value, too. Pure.
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
