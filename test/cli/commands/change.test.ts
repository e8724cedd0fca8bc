import assert from 'node:assert/strict';
import test from 'node:test';
import { sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('stop shows how each service ended, and passes its timeout on', async (t) => {
  const home = await makeTempDir(t);
  const stopped = makeService({ status: 'Stopped', exit_code: 0 });
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
    'POST /v1/services/stop': (response) => {
      daemon.emit({ type: 'service', service: makeService({ status: 'Stopping', detail: 'draining output' }) });
      sendJson(response, { services: [makeOutcome(stopped)] });
    },
  });
  const { exitCode, stdout } = await runCli(['--home', home, 'down', '-g', 'demo', '-t', '1.5']);
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /(^|\n)web: Stopped \(0\)\n$/);
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: [], group: 'demo', timeout_ms: 1500 });
});

test('restart and remove do what they are named after', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
    'POST /v1/services/restart': (response) => sendJson(response, { services: [makeOutcome(makeService())] }),
    'POST /v1/services/remove': (response) =>
      sendJson(response, {
        services: [makeOutcome(makeService(), { outcome: 'failed', error: 'it is running' })],
      }),
  });
  const restart = await runCli(['--home', home, 'restart', 'web']);
  assert.equal(restart.exitCode, 0);
  assert.equal(restart.stdout.toString(), 'web: Started\n');
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: ['web'], group: null, timeout_ms: null });

  const remove = await runCli(['--home', home, 'rm']);
  assert.equal(remove.exitCode, 1);
  assert.equal(remove.stderr, 'monocore: web could not be removed: it is running\n');
});

test('a daemon without services has nothing to stop', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, { 'GET /v1/services': (response) => sendJson(response, { services: [] }) });
  const { exitCode, stdout } = await runCli(['--home', home, 'stop']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'nothing to stop\n');
});
