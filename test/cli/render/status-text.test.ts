import assert from 'node:assert/strict';
import test from 'node:test';
import { outcomeText, renderFailures } from '../../../src/cli/render/status-text.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';

test('the last word on a service says how it is now', () => {
  const started = makeService({ addresses: ['http://127.0.0.2:8080', 'http://127.0.0.2:8081'] });
  const stopped = makeService({ status: 'Stopped', exit_code: 0 });
  assert.equal(outcomeText('start', makeOutcome(started)), 'Started, http://127.0.0.2:8080 http://127.0.0.2:8081');
  assert.equal(outcomeText('stop', makeOutcome(stopped)), 'Stopped (0)');
  assert.equal(outcomeText('stop', makeOutcome(stopped, { outcome: 'unchanged' })), 'Stopped (0) (nothing to do)');
  assert.equal(outcomeText('remove', makeOutcome(stopped)), 'Removed');
  assert.equal(outcomeText('remove', makeOutcome(started, { outcome: 'failed' })), 'Failed');
});

test('failures are told with what the service printed last, successes are not', () => {
  const outcomes = [
    makeOutcome(makeService({ name: 'db' })),
    makeOutcome(makeService(), { outcome: 'failed', error: 'it ended with exit code 1', last_lines: ['one', '  two'] }),
    makeOutcome(makeService({ name: 'cache' }), { outcome: 'failed', error: 'db did not start' }),
  ];
  assert.equal(
    renderFailures('start', outcomes, NO_COLORS),
    [
      'monocore: web could not be started: it ended with exit code 1',
      '  it printed last:',
      '    one',
      '      two',
      'monocore: cache could not be started: db did not start',
      '',
    ].join('\n'),
  );
  assert.equal(renderFailures('stop', outcomes.slice(0, 1), NO_COLORS), '');
});
