/** `envs`: variables of a program. */
import { interpolate } from '../../protocol/variables.ts';
import { quote } from '../problems.ts';
import { pairs } from './pairs.ts';

/** What POSIX calls a name (XBD 3.216), the only kind that every shell can read. */
const NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Variables by name. */
export const Envs = pairs(findVariableProblem);

/** What is wrong with a variable of the config or of an `env_file`, or null. Pure. */
export function findVariableProblem(name: string, value: string): string | null {
  if (!NAME_PATTERN.test(name)) return `${quote(name)} is not a valid variable name`;
  if (value.includes('\0')) return 'must not contain a NUL character';
  return findReferenceProblem(value);
}

/** References are resolved by the daemon; here they are only read, so that a slip is found while the file is open. */
function findReferenceProblem(value: string): string | null {
  const reading = interpolate(value, () => '');
  if (reading.ok || reading.fault.type !== 'malformed') return null;
  const [text] = /^\$\{[^}]*\}?/.exec(value.slice(reading.fault.at)) ?? [''];
  const problem = text.endsWith('}') ? `is neither \${NAME} nor \${NAME:-default}` : 'has no closing "}"';
  return `${quote(text)} ${problem}; a literal "$" is written "$$"`;
}
