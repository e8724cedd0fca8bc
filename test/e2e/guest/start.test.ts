/** Starts of services in real guests, and reports of starts that fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ServiceOutcome } from '../../../src/protocol/api.ts';
import { findStaticBusybox } from '../../../src/vm/host/host-tools.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const SECRET = "s3cret-§-'quoted' $HOME `id`\nsecond line";

describe('a service in a guest', () => {
  let host: TestRuntime;
  before(async () => {
    host = await openTestRuntime();
  });
  after(() => host.close());

  const startOne = async (service: Parameters<typeof configOf>[0][number]): Promise<ServiceOutcome> => {
    const reply = await host.orchestrator.start(configOf([service]));
    return reply.services[0]!;
  };

  it('gets its arguments, variables and working directory exactly, and none of them shows in ps', async () => {
    const script = `printf '%s\\n' "$SECRET" "$1" "$PWD" "$root $command $dir" "$(cat /proc/cmdline)"`;
    // The last three are names that scripts of the guest could use.
    const envs = { SECRET, root: '/nowhere', command: 'kept', dir: 'kept' };
    const service = scriptService('exact', script, { envs, workdir: '/tmp' });
    const outcome = await startOne({ ...service, args: [...service.args, 'sh', SECRET] });
    assert.equal(outcome.error, null);
    const commandLines = findProcesses(host.home)
      .map(({ commandLine }) => commandLine)
      .join('\n');
    assert.match(commandLines, /qemu-system/);
    assert.doesNotMatch(commandLines, /s3cret|printf/);
    await host.ended('exact');
    const lines = host.lines('exact', 'stdout');
    assert.equal(lines.slice(0, 6).join('\n'), `${SECRET}\n${SECRET}\n/tmp\n/nowhere kept kept`);
    assert.doesNotMatch(lines[6]!, /s3cret/);
  });

  it('runs as the user of the guest that its config names, by number or from the files of its root', async () => {
    const script = 'echo "$(id -u):$(id -g) $HOME"';
    const reply = await host.orchestrator.start(
      configOf([
        scriptService('numbered', script, { user: '1000:100' }),
        scriptService('named', script, { user: 'root' }),
        scriptService('unknown', script, { user: 'nobody' }),
      ]),
    );
    const errors = reply.services.map(({ error }) => error);
    assert.deepEqual(errors.slice(0, 2), [null, null]);
    assert.match(errors[2] ?? '', /the guest has no user nobody/);
    for (const name of ['numbered', 'named']) await host.ended(name);
    assert.deepEqual(host.lines('numbered', 'stdout'), ['1000:100 /']);
    assert.deepEqual(host.lines('named', 'stdout'), ['0:0 /root']);
  });

  it('reports the real exit code, or the signal that ended the command', async () => {
    await Promise.all([
      startOne(scriptService('code', 'exit 113')),
      // The kernel spares process 1 of a namespace signals from inside it.
      startOne(scriptService('signal', `sh -c 'kill -KILL $$'; exit $?`)),
    ]);
    const code = await host.ended('code');
    assert.deepEqual([code.status, code.exit_code, code.signal], ['Stopped', 113, null]);
    const signal = await host.ended('signal');
    assert.deepEqual([signal.status, signal.exit_code, signal.signal], ['Stopped', 137, 'SIGKILL']);
  });

  it('fails with its cause and its last lines when the command cannot be run', async () => {
    const missing = await startOne({ ...scriptService('missing', ''), command: 'no-such-program' });
    assert.equal(missing.outcome, 'failed');
    assert.equal(missing.error, 'command not found: no-such-program');
    assert.match(missing.last_lines.join('\n'), /ERROR \[missing\] monocore: command not found: no-such-program/);
    const nowhere = await startOne(scriptService('nowhere', 'true', { workdir: '/no/such/folder' }));
    assert.equal(nowhere.error, 'the working directory /no/such/folder cannot be entered');
    assert.deepEqual(readdirSync(join(host.home, 'run')), []);
  });

  it('ends with its command: what that left running does not keep the guest up', async () => {
    // The second one shows an empty line in place of its arguments.
    const hidden = '(exec -a "$(printf "\\n/busybox")" /bin/busybox sleep 1000) & sleep 1; head -n 1 /proc/$!/cmdline';
    const script = `(sleep 1000; echo never) & ${hidden}; echo bye`;
    assert.equal((await startOne(scriptService('parent', script))).error, null);
    const { status, exit_code } = await host.ended('parent');
    assert.deepEqual([status, exit_code], ['Stopped', 0]);
    assert.deepEqual(host.lines('parent', 'stdout'), ['', 'bye']);
  });

  it('is killed with its VM when it does not react to a stop in time', async () => {
    const stubborn = scriptService('stubborn', `trap '' TERM; echo ready; while :; do sleep 1; done`, {
      stop_timeout_ms: 500,
    });
    assert.equal((await startOne(stubborn)).error, null);
    const reply = await host.orchestrator.stop({ names: ['stubborn'], group: null });
    assert.equal(reply.services[0]!.service.status, 'Stopped');
    assert.deepEqual(findProcesses(host.home), []);
  });

  it('boots from a directory of the host and never changes it', async (t) => {
    // None of these means anything to whoever passes the path on.
    const root = join(await makeTempDir(t), 'a,b c\\,sandbox=none');
    mkdirSync(root);
    mkdirSync(join(root, 'bin'));
    mkdirSync(join(root, 'etc'));
    cpSync(findStaticBusybox(), join(root, 'bin/busybox'));
    for (const applet of ['cat', 'ls', 'sh']) symlinkSync('busybox', join(root, 'bin', applet));
    writeFileSync(join(root, 'etc/greeting'), 'from the host\n');
    chmodSync(root, 0o755);
    const script = 'cat /etc/greeting; echo changed >/etc/greeting; echo new >/new; cat /etc/greeting /new; ls /bin';
    const outcome = await startOne(scriptService('rooted', script, { rootfs: root, command: 'sh' }));
    assert.equal(outcome.error, null);
    await host.ended('rooted');
    assert.deepEqual(host.lines('rooted', 'stdout'), ['from the host', 'changed', 'new', 'busybox', 'cat', 'ls', 'sh']);
    assert.deepEqual(readdirSync(root), ['bin', 'etc']);
    assert.deepEqual(findProcesses(join(host.home, 'run/rooted')), []);
  });

  it('names the port that somebody else listens on', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const outcome = await startOne(
      scriptService('taken', 'true', { ports: [{ host: port, guest: 80, protocol: 'tcp' }] }),
    );
    const { pid } = process;
    assert.match(
      outcome.error!,
      new RegExp(`^port 127.0.0.1:${port} \\(tcp\\) of service taken .*\\(process ${pid}\\) has`),
    );
  });

  it('fails with the cause, as a VM and never as a host process, when the VM cannot start', async () => {
    // An ELF file in name only, so that QEMU itself refuses it.
    const notAKernel = join(host.home, 'not-a-kernel');
    writeFileSync(notAKernel, `\x7fELF${'no kernel at all '.repeat(100)}`);
    const reply = await host.orchestrator.start({
      ...configOf([scriptService('unbootable', 'true')]),
      kernel: notAKernel,
    });
    const { outcome, error, service, last_lines } = reply.services[0]!;
    assert.equal(outcome, 'failed');
    assert.match(error!, /^the VM process ended with status 1 before the command ran$/);
    assert.equal(service.isolation, 'vm');
    assert.match(last_lines.join('\n'), /DEBUG \[unbootable\] qemu-\S+: .*unsupported/);
  });
});
