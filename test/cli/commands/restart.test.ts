import assert from 'node:assert/strict';
import test from 'node:test';
import { sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('restart restarts the services that it names', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
    'POST /v1/services/restart': (response) => sendJson(response, { services: [makeOutcome(makeService())] }),
  });
  const { exitCode, stdout } = await runCli(['--home', home, 'restart', 'web']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'web: running\n');
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: ['web'], group: null, timeout_ms: null });
});
