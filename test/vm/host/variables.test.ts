// biome-ignore-all lint/suspicious/noTemplateCurlyInString: such references are what is tested
import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveEnvs } from '../../../src/vm/host/variables.ts';

test('variables are resolved by the environment, and the service keeps its references', () => {
  const service = { name: 'web', envs: { PLAIN: 'a $b', TOKEN: 'x${SOURCE}', OTHER: '${MISSING:-none}' } };
  assert.deepEqual(resolveEnvs(service, { SOURCE: '1' }), { PLAIN: 'a $b', TOKEN: 'x1', OTHER: 'none' });
  assert.equal(service.envs.TOKEN, 'x${SOURCE}');
});

test('a variable of the service itself is not looked up', () => {
  assert.throws(() => resolveEnvs({ name: 'web', envs: { A: '1', B: '${A}' } }, {}), { code: 'StartFailed' });
});

test('what cannot be resolved is named with its service, and no value is told', () => {
  assert.throws(() => resolveEnvs({ name: 'web', envs: { TOKEN: 's3cret ${MISSING}' } }, {}), {
    code: 'StartFailed',
    message:
      'the variable TOKEN of web has no value: it refers to MISSING, which is not set where the daemon was started; ' +
      'set it there, or write ${MISSING:-default}',
  });
  assert.throws(() => resolveEnvs({ name: 'web', envs: { TOKEN: 's3cret ${' } }, {}), {
    code: 'StartFailed',
    message:
      'the variable TOKEN of web has no value: it has a "${" that begins no ${NAME}; write "$$" for a "$" of its own',
  });
});
