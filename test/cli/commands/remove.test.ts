import assert from 'node:assert/strict';
import test from 'node:test';
import { sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

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
