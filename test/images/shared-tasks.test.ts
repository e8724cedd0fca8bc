import assert from 'node:assert/strict';
import test from 'node:test';
import { SharedTasks } from '../../src/images/shared-tasks.ts';

test('a cancelled caller does not wait for an earlier task that is slow to end', async () => {
  const tasks = new SharedTasks<string, string>((past, event) => [...past, event]);
  let end = (): void => {};
  const slow = new Promise<string>((resolve) => {
    end = () => resolve('late');
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const waiter = ({ signal }: AbortController) => ({ signal, onEvent: () => {} });
  const begun = tasks.join('image', waiter(first), () => slow);
  first.abort();
  await assert.rejects(begun, { code: 'Aborted' });
  const waiting = tasks.join('image', waiter(second), async () => 'never begun');
  second.abort();
  await assert.rejects(waiting, { code: 'Aborted' });
  // Its place is free only now.
  const third = tasks.join('image', waiter(new AbortController()), async () => 'next');
  end();
  assert.equal(await third, 'next');
});
