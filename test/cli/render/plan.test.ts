import assert from 'node:assert/strict';
import test from 'node:test';
import { renderPlan } from '../../../src/cli/render/plan.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';

test('a plan has a line for each service, with the reason where there is one', () => {
  const actions = [
    { name: 'db', action: 'keep', reason: null },
    { name: 'worker', action: 'restart', reason: 'command changed from /a to /b\n\u001b[2J' },
  ] as const;
  assert.equal(
    renderPlan(actions, NO_COLORS),
    'keep     db\nrestart  worker  command changed from /a to /b\uFFFD\uFFFD[2J\n',
  );
  assert.equal(renderPlan([], NO_COLORS), '');
});
