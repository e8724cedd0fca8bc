/** Variables of a service as its command gets them. */
import { MonocoreError } from '../../lib/errors.ts';
import type { Service } from '../../protocol/service.ts';
import { interpolate, type VariableFault } from '../../protocol/variables.ts';

function describeFault(fault: VariableFault): string {
  if (fault.type === 'malformed') return `it has a "\${" that begins no \${NAME}; write "$$" for a "$" of its own`;
  const { name } = fault;
  return `it refers to ${name}, which is not set where the daemon was started; set it there, or write \${${name}:-default}`;
}

/**
 * The variables of a service with the references in them replaced, see `protocol/variables.ts`. Done at each launch and
 * kept by nobody: what is stored and shown of a service are the references. Main thread.
 *
 * @param environment what they refer to: the environment that the daemon was started with
 * @throws MonocoreError `StartFailed` naming the service and the variable
 */
export function resolveEnvs(
  { name, envs }: Pick<Service, 'name' | 'envs'>,
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(envs).map(([variable, text]) => {
      const resolved = interpolate(text, (reference) => environment[reference]);
      if (resolved.ok) return [variable, resolved.value];
      const reason = describeFault(resolved.fault);
      throw new MonocoreError('StartFailed', `the variable ${variable} of ${name} has no value: ${reason}`);
    }),
  );
}
