import assert from 'node:assert/strict';
import test from 'node:test';
import stringWidth from 'string-width';
import { outcomeText, progressText, renderFailures } from '../../../src/cli/render/status-text.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';

const PLAIN = { colors: NO_COLORS, columns: Number.POSITIVE_INFINITY };
const NOW = Date.parse('2026-11-23T08:00:00.000Z');

test('progress names the step under way, else the status', () => {
  const progress = (differences: Parameters<typeof makeService>[0]) => progressText(makeService(differences), NOW);
  assert.equal(progress({ status: 'Starting' }), 'starting');
  assert.equal(progress({ status: 'Starting', detail: 'booting' }), 'booting');
  assert.equal(progress({ status: 'Starting', restarts_at: '2026-11-23T08:00:01.400Z' }), 'restarting in 2s');
  assert.equal(progress({ status: 'Starting', restarts_at: '2026-11-23T08:00:00.000Z' }), 'restarting');
  assert.equal(progress({ health: 'starting' }), 'running (health: starting)');
  assert.equal(
    progress({ health: 'healthy', addresses: ['udp://127.0.0.2:53'] }),
    'running (healthy), udp://127.0.0.2:53',
  );
  assert.equal(progress({ status: 'Stopping' }), 'stopping');
  assert.equal(progress({ status: 'Stopped', exit_code: 137, signal: 'SIGKILL' }), 'exited (SIGKILL)');
  assert.equal(progress({ status: 'Stopped', exit_code: 3 }), 'exited (3)');
});

test('the outcome of a command says how the service is now', () => {
  const started = makeService({ addresses: ['http://127.0.0.2:8080', 'http://127.0.0.2:8081'] });
  const stopped = makeService({ status: 'Stopped', exit_code: 0 });
  assert.equal(outcomeText('start', makeOutcome(started), NOW), 'running, http://127.0.0.2:8080 http://127.0.0.2:8081');
  assert.equal(outcomeText('stop', makeOutcome(stopped), NOW), 'exited (0)');
  assert.equal(outcomeText('stop', makeOutcome(stopped, { outcome: 'unchanged' }), NOW), 'exited (0) (unchanged)');
  assert.equal(outcomeText('remove', makeOutcome(stopped), NOW), 'removed');
  assert.equal(outcomeText('remove', makeOutcome(started, { outcome: 'failed' }), NOW), 'failed');
  assert.equal(outcomeText('start', makeOutcome(started, { outcome: 'failed' }), NOW), 'failed; runs as before');
  const waiting = makeService({ status: 'Unstarted' });
  assert.equal(outcomeText('start', makeOutcome(waiting, { outcome: 'failed' }), NOW), 'not started');
});

test('failures are shown with the last output of the service, successes are not', () => {
  const outcomes = [
    makeOutcome(makeService({ name: 'db' })),
    makeOutcome(makeService(), { outcome: 'failed', error: 'it ended with exit code 1', last_lines: ['one', '  two'] }),
    makeOutcome(makeService({ name: 'cache' }), { outcome: 'failed', error: 'db did not start' }),
  ];
  assert.equal(
    renderFailures('start', outcomes, PLAIN),
    [
      'monocore: web could not be started: it ended with exit code 1',
      '  last output:',
      '    one',
      '      two',
      'monocore: cache could not be started: db did not start',
      '',
    ].join('\n'),
  );
  assert.equal(renderFailures('stop', outcomes.slice(0, 1), PLAIN), '');
});

test('the last output of a failed service stays within the terminal, without losing a character', () => {
  const lines = [`${'x'.repeat(40)} 漢字漢字`, '  at main (app.js:1)', ''];
  const failed = makeOutcome(makeService(), { outcome: 'failed', error: 'it ended', last_lines: lines });
  const [, , ...shown] = renderFailures('start', [failed], { ...PLAIN, columns: 30 })
    .trimEnd()
    .split('\n');
  const output = shown.slice(shown.indexOf('  last output:') + 1);
  for (const line of output) assert.ok(stringWidth(line) <= 30, line);
  assert.equal(output.map((line) => line.slice(4)).join(''), lines.join(''));
});
