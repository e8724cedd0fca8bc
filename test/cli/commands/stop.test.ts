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
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: [], group: 'demo', timeout_ms: 1500 });
});

test('a daemon without services has nothing to stop', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, { 'GET /v1/services': (response) => sendJson(response, { services: [] }) });
  const { exitCode, stdout } = await runCli(['--home', home, 'stop']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'nothing to stop\n');
});
