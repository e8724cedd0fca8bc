import assert from 'node:assert/strict';
import test from 'node:test';
import { makeDaemonStatus, sendError, sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('status is a table without colours when no terminal shows it', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services: [makeService()] }),
  });
  const { exitCode, stdout } = await runCli(['--home', home, 'ps'], { env: { FORCE_COLOR: '1' } });
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /^Service .*\nweb .* running .*\n$/);
  assert.ok(!stdout.includes(27));
});

test('status as JSON is what the daemon sent, to the byte', async (t) => {
  const home = await makeTempDir(t);
  const document = `{ "services": [${JSON.stringify({ ...makeService(), later_field: 1.0e21 })}] }`;
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/services': (response) => response.end(document) });
  const { exitCode, stdout } = await runCli(['--home', home, 'status', 'web', '--json']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), `${document}\n`);
  assert.equal(daemon.requests.at(-1)?.url, '/v1/services?name=web');
});

test('a name that the daemon does not know is wrong usage', async (t) => {
  const home = await makeTempDir(t);
  const error = { code: 'ServiceUnknown', message: 'no service "wbe"', details: null, cause_code: null } as const;
  await startFakeDaemon(t, home, { 'GET /v1/services': (response) => sendError(response, 404, error) });
  const { exitCode, stderr } = await runCli(['--home', home, 'status', 'wbe']);
  assert.equal(exitCode, 2);
  assert.match(stderr, /^monocore: no service "wbe"\n/);
});

test('a daemon of another version is reported, with the command that replaces it', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'GET /v1/daemon': (response) => sendJson(response, makeDaemonStatus(home, { version: '0.0.1' })),
    'GET /v1/services': (response) => sendJson(response, { services: [] }),
  });
  const { exitCode, stderr } = await runCli(['--home', home, 'status']);
  assert.equal(exitCode, 0);
  assert.match(stderr, /0\.0\.1.*daemon restart/);
});
