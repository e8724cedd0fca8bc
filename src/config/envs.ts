/** `envs`: variables of a program. */
import { quote } from './fault.ts';
import { pairs } from './pairs.ts';

/** What POSIX calls a name (XBD 3.216), the only kind that every shell can read. */
const NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What is resolved in a value when the service is launched: `$$`, `${NAME}`, `${NAME:-default}`. */
const REFERENCE = /\$\$|\$\{([^}]*)(\}?)/g;
const REFERENCE_CONTENT = /^[A-Za-z_][A-Za-z0-9_]*(?::-(?!.*\$\{).*)?$/s;

/** Variables by name. */
export const Envs = pairs(findVariableFault);

/** What is wrong with a variable of the config or of an `env_file`, or null. Pure. */
export function findVariableFault(name: string, value: string): string | null {
  if (!NAME_PATTERN.test(name)) return `${quote(name)} is not a valid variable name`;
  if (value.includes('\0')) return 'must not contain a NUL character';
  return findReferenceFault(value);
}

/** References are resolved by the daemon; here they are only read, so that a slip is found while the file is open. */
function findReferenceFault(value: string): string | null {
  for (const [text, content, close] of value.matchAll(REFERENCE)) {
    if (text === '$$') continue;
    if (close === '') return `${quote(text)} has no closing "}"; a literal "$" is written "$$"`;
    if (!REFERENCE_CONTENT.test(content!)) {
      return `${quote(text)} is neither \${NAME} nor \${NAME:-default}; a literal "$" is written "$$"`;
    }
  }
  return null;
}
