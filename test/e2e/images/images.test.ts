/** Services that boot from images of a real registry. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Images } from '../../../src/images/image-jobs.ts';
import type { ControlEvent } from '../../../src/protocol/api.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { eventually } from '../../helpers/eventually.ts';
import { healthCheck } from '../../helpers/fakes/health-check.ts';
import { freePort } from '../../helpers/fakes/ports.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { makeImage, type TestImage } from '../../helpers/images/images.ts';
import { packTar } from '../../helpers/images/layers.ts';
import { hostProgramEntries, makeBusyboxImage } from '../../helpers/images/program-image.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';
import { PASSWORD, skopeo, startDockerRegistry, USERNAME, writeLayout } from '../../helpers/servers/docker-registry.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

const CREDENTIALS = `${USERNAME}:${PASSWORD}`;

/** Pushes an image to a registry of its own, whose password is known to whoever pulls. Returns the image's name. */
async function push(t: TestContext, image: TestImage): Promise<{ name: string; registry: string }> {
  const registry = await startDockerRegistry(t);
  const dir = await makeTempDir(t);
  await writeLayout(join(dir, 'layout'), image, 'app');
  const name = `${registry}/team/app:1`;
  const target = ['--dest-tls-verify=false', '--dest-creds', CREDENTIALS, `docker://${name}`];
  await skopeo('copy', '--format', 'oci', `oci:${join(dir, 'layout')}:app`, ...target);
  const auth = Buffer.from(CREDENTIALS).toString('base64');
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { [registry]: { auth } } }));
  const before = process.env.DOCKER_CONFIG;
  process.env.DOCKER_CONFIG = dir;
  defer(t, () => {
    if (before === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = before;
  });
  return { name, registry };
}

/** A service that leaves everything to its image. */
function imageService(name: string, image: string, overrides: Partial<Service> = {}): Service {
  return { ...scriptService(name, ''), image, command: null, args: [], workdir: null, ...overrides };
}

const MAIN = `#!/bin/sh
echo "args: $*"
echo "user: $(id -u) $(id -g) $(id -G), home $HOME, in $PWD"
echo "env: $OF_IMAGE $OF_BOTH"
echo "opened" >/dev/stdout
cat /run/secrets/token 2>/dev/null
trap 'echo asked; exit 42' USR1
cat /tmp/../data/runs 2>/dev/null
echo run >>/data/runs
httpd -f -p 8000 -h /srv &
while :; do sleep 0.1; done
`;

test('a service boots from an image that nobody has pulled, as its image says, and again without the registry', async (t) => {
  const programs = ['cat', 'httpd', 'id', 'sh', 'sleep'];
  const image = await makeBusyboxImage(
    programs,
    {
      User: 'web',
      Entrypoint: ['/bin/main', 'entry'],
      Cmd: ['of image'],
      Env: ['OF_IMAGE=a b', 'OF_BOTH=image', 'not.a.name=1', 'PATH=/bin'],
      WorkingDir: '/not/there/yet',
      StopSignal: 'SIGUSR1',
      ExposedPorts: { '8000/tcp': {} },
    },
    [
      { name: 'bin/main', mode: 0o755, content: MAIN },
      { name: 'srv/index.html', content: 'from the image' },
      { name: 'data', type: 'directory', uid: 1001, gid: 1002 },
    ],
  );
  const { name, registry } = await push(t, image);
  const host = await openTestRuntime();
  defer(t, () => host.close());
  const { orchestrator, runtime } = host;
  const store = runtime.paths.images;
  const images = new Images(runtime.jobs, runtime.paths);
  const details = new Set<string>();
  orchestrator.on('event', (event: ControlEvent) => {
    if (event.type === 'service' && event.service.detail !== null) details.add(event.service.detail);
  });
  const port = await freePort();
  const token = join(await makeTempDir(t), 'token');
  writeFileSync(token, 'for its user only\n');
  const check = healthCheck({
    probe: { type: 'exec', command: ['/bin/sh', '-c', '[ "$(id -u):$OF_IMAGE:$PWD" = "1001:a b:/not/there/yet" ]'] },
  });
  const kept = imageService('kept', name, {
    disk_mib: 16,
    envs: { OF_BOTH: 'service' },
    ports: [{ host: port, guest: 8000, protocol: 'tcp' }],
    healthcheck: check,
    secrets: [{ name: 'token', path: token }],
  });
  const other = imageService('other', name, { args: ['of service'] });
  const row = (service: string) => orchestrator.services().find((candidate) => candidate.name === service)!;
  const config = {
    ...configOf([kept, other]),
    images: { ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry] },
  };

  const { services: outcomes } = await orchestrator.start(config);
  assert.deepEqual(
    outcomes.map(({ outcome, error }) => [outcome, error ?? null]),
    [
      ['changed', null],
      ['changed', null],
    ],
  );
  assert.ok(
    [...details].some((detail) => /^pulling \d+ %$/.test(detail)),
    [...details].join(),
  );
  assert.ok(details.has('preparing image'));
  const page = await eventually('the page', () =>
    // A connection that came before the guest listened may stay without an answer.
    fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) })
      .then((answer) => answer.text())
      .catch(() => null),
  );
  assert.equal(page, 'from the image');
  assert.deepEqual(host.lines('kept', 'stdout').slice(0, 5), [
    'args: entry of image',
    'user: 1001 1002 1002 1500, home /home/web, in /not/there/yet',
    'env: a b service',
    'opened',
    'for its user only',
  ]);
  assert.equal(host.lines('other', 'stdout')[0], 'args: entry of service');
  assert.deepEqual(row('kept').notes, []);
  await eventually('the check, as the same user', () => row('kept').health === 'healthy');
  assert.equal(readdirSync(store.rootsDir).filter((file) => file.endsWith('.erofs')).length, 1, 'one root for both');

  assert.equal((await images.prune()).removed.length, 0);
  await assert.rejects(images.remove({ names: [name] }), { code: 'ImageInUse', message: /is used by kept, other$/ });
  await orchestrator.stop();
  assert.deepEqual([row('kept').exit_code, row('kept').ended_by], [42, 'stop_signal']);
  await images.prune();
  assert.equal(readdirSync(store.rootsDir).length, 2, 'what stands still uses its image, too');

  // No blob can be read any more, and the registry would have to be asked for them.
  renameSync(store.blobsDir, `${store.blobsDir}-away`);
  details.clear();
  const again = await orchestrator.start({ ...config, services: [kept] });
  assert.equal(again.services[0]!.outcome, 'changed', again.services[0]!.error ?? '');
  assert.ok(![...details].some((detail) => /pulling|preparing image/.test(detail)), [...details].join());
  await eventually('what the run before wrote', () => host.lines('kept', 'stdout').at(-1) === 'run');
  renameSync(`${store.blobsDir}-away`, store.blobsDir);

  await orchestrator.remove();
  assert.equal(existsSync(runtime.paths.disk('kept')), false);
  assert.equal(readdirSync(store.rootsDir).length, 2, 'a root stays for the next service');
  assert.ok((await images.prune()).freed_bytes > 1_000_000);
  assert.deepEqual(readdirSync(store.rootsDir), []);
  await images.remove({ names: [name] });
  assert.deepEqual(readdirSync(store.blobsDir), []);
});

test('programs of a distribution run from an image, as a user that it does not know', async (t) => {
  const layers = [await packTar(hostProgramEntries(['bash', 'id', 'sort']))];
  const cmd = ['bash', '-c', 'printf "%s\\n" b a | sort; id -u; id -G; echo "$HOME"; echo $BASH_VERSION'];
  const image = makeImage({ layers, config: { User: '4242:17', Cmd: cmd, Env: ['PATH=/usr/bin:/bin'] } });
  const registry = await startRegistry(t);
  registry.add('glibc', 'latest', image);
  const host = await openTestRuntime();
  defer(t, () => host.close());
  const images = { ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry.host] };
  const service = imageService('glibc', `${registry.host}/glibc@${image.digest}`);
  await host.orchestrator.start({ ...configOf([service]), images });
  const { exit_code, error } = await host.ended('glibc');
  assert.deepEqual([exit_code, error], [0, null], host.lines('glibc', 'stderr').join('\n'));
  const lines = host.lines('glibc', 'stdout');
  assert.deepEqual(lines.slice(0, 5), ['a', 'b', '4242', '17', '/']);
  assert.match(lines[5]!, /^\d+\.\d+/);
});
