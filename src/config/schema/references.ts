/**
 * References to variables in values of `envs`: `${NAME}` and `${NAME:-default}`, the forms of POSIX sh, section 2.6.2.
 * `$$` is a literal `$`, and so is any other `$`. A default ends at the first `}`, cannot contain `${`, and is taken
 * literally.
 */

/** `$` that needs interpretation; a malformed `${` is captured by the last group. */
const REFERENCE = /\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\}|(\{))/g;

type VariableFault =
  /** Reference in none of the forms above; `at` is the position of its `$` in UTF-16 code units. */
  | { readonly type: 'malformed'; readonly at: number }
  /** Variable that is not set and has no default. */
  | { readonly type: 'unset'; readonly name: string };

type Interpolation =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly fault: VariableFault };

/**
 * Replaces the references in `text`; inserted text is not resolved again. `lookup` returns undefined for a variable
 * that is not set. A default also replaces an empty value. Pure.
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
