import assert from 'node:assert/strict';
import test from 'node:test';
import { sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('stop shows how each service ended and passes its timeout on', async (t) => {
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
  assert.match(stdout.toString(), /(^|\n)web: exited \(0\)\n$/);
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: [], group: 'demo', all: false, timeout_ms: 1500 });
});

test('a daemon without services has nothing to stop', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, { 'GET /v1/services': (response) => sendJson(response, { services: [] }) });
  const { exitCode, stdout } = await runCli(['--home', home, 'stop']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'nothing to stop\n');
});

test('restart restarts the services that it names', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
    'POST /v1/services/restart': (response) => sendJson(response, { services: [makeOutcome(makeService())] }),
  });
  const { exitCode, stdout } = await runCli(['--home', home, 'restart', 'web']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'web: running\n');
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: ['web'], group: null, all: false, timeout_ms: null });
});

test('remove reports a service that it could not remove', async (t) => {
  const home = await makeTempDir(t);
  const error = 'it is running';
  await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
    'POST /v1/services/remove': (response) =>
      sendJson(response, { services: [makeOutcome(makeService(), { outcome: 'failed', error })] }),
  });
  const { exitCode, stderr } = await runCli(['--home', home, 'rm']);
  assert.equal(exitCode, 1);
  assert.equal(stderr, 'monocore: web could not be removed: it is running\n');
});
