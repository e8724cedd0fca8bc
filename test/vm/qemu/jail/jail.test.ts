/** The jail with a stand-in for a QEMU that its guest has taken over. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listChildren, listDescriptors, readStat } from '../../../../src/lib/proc.ts';
import { findStaticBusybox } from '../../../../src/vm/host/host-tools.ts';
import {
  findJailKind,
  type JailSpec,
  jailCommand,
  listDevices,
  renderSpec,
} from '../../../../src/vm/qemu/jail/jail.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { emulator, findTestProgram } from '../../../helpers/processes/test-program.ts';
import { findFreePort } from '../../../helpers/servers/free-port.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';
import { NO_CAPABILITIES, readHolding } from '../../../helpers/vm/jail-table.ts';

const PLAIN_USER = 12_345;

/** A folder of a home, and the parts of a jail in it that a test does not care about. */
async function makeSpec(t: TestContext, changes: Partial<JailSpec> = {}): Promise<JailSpec> {
  const top = await makeTempDir(t);
  const dir = join(top, 'run');
  mkdirSync(dir, { mode: 0o700 });
  return {
    kind: { namespaces: 'host', obstacle: null },
    files: [],
    forwards: [],
    goesOut: false,
    visible: [findStaticBusybox()],
    devices: listDevices(false),
    fileBytes: 1024 * 1024,
    openFiles: null,
    user: null,
    dir,
    ...changes,
  };
}

/**
 * Starts busybox in a jail, with a variable that it must not get; as another user where the kind is `user`.
 *
 * @param wrap makes a command of that of the jail, which it becomes, as the user
 */
async function startJailed(
  t: TestContext,
  spec: JailSpec,
  args: readonly string[],
  wrap?: (words: readonly string[]) => readonly string[],
): Promise<ChildProcess> {
  const command = await jailCommand({ program: findStaticBusybox(), args }, join(spec.dir, 'jail'), spec);
  const own = [command.program, ...command.args];
  const [program = '', ...words] = wrap?.(own) ?? own;
  const isPlain = spec.kind.namespaces === 'user';
  if (isPlain) {
    chmodSync(join(spec.dir, '..'), 0o755);
    for (const path of [spec.dir, join(spec.dir, 'jail')]) chownSync(path, PLAIN_USER, PLAIN_USER);
  }
  const user = isPlain && !wrap ? { uid: PLAIN_USER, gid: PLAIN_USER } : {};
  const nothing = openSync('/dev/null', 'r+');
  const stdio = [nothing, 'pipe', 'pipe', nothing, nothing, nothing] as const;
  const child = spawn(program, words, {
    stdio: [...stdio],
    env: { PATH: process.env.PATH, SECRET: 'of another service' },
    ...user,
  });
  closeSync(nothing);
  defer(t, () => child.kill('SIGKILL'));
  return child;
}

/** Runs a shell script in a jail to its end. */
async function runJailed(t: TestContext, spec: JailSpec, script: string) {
  const child = await startJailed(t, spec, ['sh', '-c', script]);
  const exited = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([child.stdout, child.stderr].map((stream) => text(stream as Readable)));
  const [code, signal] = await exited;
  return { code, signal, stdout: stdout!, stderr: stderr! };
}

const KINDS = [
  { namespaces: 'host', obstacle: null },
  { namespaces: 'user', obstacle: 'the daemon does not run as root' },
] as const;

for (const kind of KINDS) {
  const { namespaces } = kind;

  test(`a process in a jail of kind ${namespaces} holds nothing of the host but what it was given`, async (t) => {
    const spec = await makeSpec(t, { kind, openFiles: 77 });
    const child = await startJailed(t, spec, ['sleep', '1000']);
    await eventually('the program to run', () => listChildren(child.pid!).length === 2);
    const pid = listChildren(child.pid!).at(-1)!;
    await eventually('the program to be executed', () => readHolding(pid).environment === '');
    const holding = readHolding(pid);
    const own = namespaces === 'host' ? 0x4d000000 + child.pid! : PLAIN_USER;
    assert.deepEqual([holding.uids, holding.gids], [Array(4).fill(own), Array(4).fill(own)]);
    assert.deepEqual(holding.groups, namespaces === 'host' ? [own] : []);
    assert.deepEqual(holding.capabilities, NO_CAPABILITIES);
    assert.ok(holding.noNewPrivs && holding.seccomp);
    const expected = ['mnt', 'pid', 'ipc', 'uts', 'net', ...(namespaces === 'user' ? ['user'] : [])];
    assert.deepEqual(holding.privateNamespaces, expected);
    assert.deepEqual(holding.limits, { core: 0, files: 77, fileBytes: spec.fileBytes });
    assert.deepEqual(
      holding.mounts.map(({ path }) => path),
      ['/', findStaticBusybox(), '/dev/null', '/dev/urandom'],
    );
    for (const { path, options } of holding.mounts) {
      assert.ok(options.includes('ro') && options.includes('nosuid'), path);
      assert.ok(options.includes(path.startsWith('/dev/') ? 'noexec' : 'nodev'), path);
    }
    assert.deepEqual(holding.files, ['/dev/null', '/dev/null', '/dev/null', '/dev/null']);
    // The parent, which outlives nothing, has lost as much.
    const { uids, capabilities, root, environment, files } = readHolding(child.pid!);
    assert.deepEqual([uids[0], capabilities, root, files], [own, NO_CAPABILITIES, holding.root, []]);
    assert.match(environment, /SECRET/);
  });

  test(`an escaped program in a jail of kind ${namespaces} reaches no file, socket, process or right`, async (t) => {
    const spec = await makeSpec(t, { kind });
    const secret = join(spec.dir, '..', 'secret');
    writeFileSync(secret, 'secret', { mode: 0o644 });
    const socket = join(spec.dir, '..', 'other.sock');
    const server = createServer().listen(socket);
    defer(t, () => server.close());
    await once(server, 'listening');
    chmodSync(socket, 0o777);
    const web = createServer((connection) => connection.end('hello')).listen(0, '0.0.0.0');
    defer(t, () => web.close());
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const attempts: Readonly<Record<string, string>> = {
      'read the home': `cat ${secret}`,
      'list the home': `ls ${spec.dir}`,
      'climb out of the root': `cat ../../../../../../../..${secret}`,
      'read the list of users': 'cat /etc/passwd',
      'reach the socket of another VM': `nc local:${socket} </dev/null`,
      'reach a port of the host': `nc -w 2 127.0.0.1 ${port} </dev/null`,
      'reach another network': 'nc -w 2 192.0.2.1 80 </dev/null',
      'signal the daemon': `kill -0 ${process.pid}`,
      'signal another process': `kill -0 ${process.ppid}`,
      'see processes': `ls /proc/${process.pid}`,
      'mount a file system': 'mkdir /x && mount -t tmpfs none /x',
      'mount /proc': 'mount -t proc proc /dev',
      'make a device node': 'mknod /sda b 8 0',
      'write to its root': 'echo x >/x',
      'write to its program': `echo x >>${findStaticBusybox()}`,
      'make a file anywhere': 'echo x >/dev/x',
      'raise a limit': 'ulimit -n 100000',
      'become root': 'setuidgid root true',
      'change the root': 'chroot / true',
      'change the host name': 'hostname x',
      'make a user namespace of capabilities': `unshare -U -m mount -t tmpfs none /dev`,
      'read kernel messages': 'dmesg',
    };
    const attemptTo = (attempt: string) =>
      runJailed(
        t,
        spec,
        `for name in cat ls nc mkdir mount mknod setuidgid chroot hostname unshare dmesg; do
          eval "$name() { ${findStaticBusybox()} $name \\"\\$@\\"; }"
        done
        (${attempt}) && echo succeeded`,
      );
    for (const allowed of ['cat /dev/null', 'ls /dev', 'kill -0 $$', 'ulimit -n'])
      assert.match((await attemptTo(allowed)).stdout, /succeeded/, allowed);
    for (const [what, attempt] of Object.entries(attempts)) {
      const { stdout, code } = await attemptTo(attempt);
      assert.ok(!stdout.includes('succeeded') && code !== 0, `${what}: ${stdout}`);
    }
    assert.equal(statSync(secret).size, 6);
  });

  test(`a jail of kind ${namespaces} ends with its program and as it ended, and takes it along`, async (t) => {
    const spec = await makeSpec(t, { kind });
    assert.deepEqual(await runJailed(t, spec, 'exit 7'), { code: 7, signal: null, stdout: '', stderr: '' });
    assert.equal((await runJailed(t, spec, 'kill -9 $$')).signal, 'SIGKILL');
    assert.equal((await runJailed(t, spec, 'kill -6 $$')).signal, 'SIGABRT');

    const trap = await startJailed(t, spec, ['sh', '-c', 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done']);
    await once(trap.stdout!, 'data');
    trap.kill('SIGTERM');
    assert.deepEqual(await once(trap, 'exit'), [9, null]);

    const killed = await startJailed(t, spec, ['sleep', '1000']);
    const streams = text(killed.stdout!);
    await eventually('the program to run', () => listChildren(killed.pid!).length === 2);
    killed.kill('SIGKILL');
    // Its end of the pipe is closed when it is gone.
    assert.equal(await streams, '');
  });
}

/** Perl, which can make any system call, and its libraries. */
function listPerlFiles(): string[] {
  const perl = findTestProgram('perl');
  const libraries = execFileSync('ldd', [perl], { encoding: 'utf8' }).split(/\s+/);
  return [perl, ...libraries.filter((word) => word.startsWith('/'))];
}

/** Numbers of system calls, of x86-64 and AArch64. */
const CALLS: Readonly<Record<string, readonly [number, number]>> = {
  mount: [165, 40],
  unshare: [272, 97],
  setns: [308, 268],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  execveat: [322, 281],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  add_key: [248, 217],
  keyctl: [250, 219],
  open_by_handle_at: [304, 265],
  clone: [56, 220],
  clone3: [435, 435],
  socket: [41, 198],
  newest: [460, 460],
};
const numberOf = (call: string): number => CALLS[call]![process.arch === 'x64' ? 0 : 1];

const DENIED = [
  ...['mount', 'unshare', 'setns', 'ptrace', 'process_vm_readv', 'execveat', 'bpf', 'perf_event_open', 'userfaultfd'],
  ...['io_uring_setup', 'add_key', 'keyctl', 'open_by_handle_at'],
];
const NEW_USER_NAMESPACE = 0x10000000;
const FAMILIES = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17, alg: 38, vsock: 40 };

/** Makes system calls, each a number and its first argument, and prints the error of each. */
const MAKE_CALLS =
  'while (@ARGV) { my ($n, $a) = splice(@ARGV, 0, 2); print syscall($n + 0, $a + 0, 2, 0, 0, 0) < 0 ? $! + 0 : 0, " " }';

test('a program in a jail cannot make system calls that no VM needs', async (t) => {
  const perl = findTestProgram('perl');
  const visible = [findStaticBusybox(), ...listPerlFiles()];
  const attempt = async (spec: JailSpec, calls: readonly (readonly [string | number, number])[]) => {
    const words = calls.map(([call, argument]) => `${typeof call === 'string' ? numberOf(call) : call} ${argument}`);
    const { stdout, signal } = await runJailed(t, spec, `exec ${perl} -e '${MAKE_CALLS}' ${words.join(' ')}`);
    return signal ?? stdout.trim().split(' ').map(Number);
  };
  const { EPERM, ENOSYS, EAFNOSUPPORT } = constants.errno;
  for (const kind of [...KINDS, { namespaces: 'none', obstacle: 'a test' } as const]) {
    const spec = await makeSpec(t, { kind, visible });
    const denied = await attempt(
      spec,
      DENIED.map((call) => [call, 0]),
    );
    assert.deepEqual(denied, Array(DENIED.length).fill(EPERM));
    assert.deepEqual(
      await attempt(spec, [
        ['clone', NEW_USER_NAMESPACE],
        ['clone3', 0],
        ['newest', 0],
      ]),
      [EPERM, ENOSYS, ENOSYS],
    );
    const sockets = Object.values(FAMILIES).map((family) => ['socket', family] as const);
    assert.deepEqual(
      await attempt(spec, sockets),
      Object.values(FAMILIES).map((family) => ([1, 2, 10].includes(family) ? 0 : EAFNOSUPPORT)),
    );
    // The numbers of another interface of the same kernel.
    if (process.arch === 'x64') assert.equal(await attempt(spec, [[0x40000000 + 39, 0]]), 'SIGSYS');
  }
  // Without a jail the kernel answers otherwise.
  const words = [
    '-e',
    MAKE_CALLS,
    String(numberOf('unshare')),
    '0',
    String(numberOf('socket')),
    String(FAMILIES.netlink),
  ];
  assert.equal(execFileSync(perl, words, { encoding: 'utf8' }), '0 0 ');
});

test('a program in a jail is ended when it writes more than it may', async (t) => {
  const spec = await makeSpec(t, { fileBytes: 4096 });
  const path = join(spec.dir, 'record');
  const files = [{ id: 'record', how: 'append' as const, path }];
  const { signal } = await runJailed(t, { ...spec, files }, 'while :; do echo 0123456789 >&6; done');
  assert.equal(signal, 'SIGXFSZ');
  assert.equal(statSync(path).size, 4096);
});

test('the user of the config, and the groups of devices, are those of the process', async (t) => {
  const user = { name: 'web', uid: 4001, gid: 4002, groups: [4002, 4003], home: '/' };
  const spec = await makeSpec(t, { user });
  const { stdout } = await runJailed(t, spec, `${findStaticBusybox()} id`);
  assert.match(stdout, /^uid=4001 gid=4002 groups=4002,4003$/m);
});

test('without namespaces a jail limits its program, and leaves its user', async (t) => {
  const spec = await makeSpec(t, { kind: { namespaces: 'none', obstacle: 'a test' } });
  assert.ok(!renderSpec(spec).some((word) => /^(namespaces|root|file|user)=/.test(word)));
  const child = await startJailed(t, spec, ['sleep', '1000']);
  await eventually('the program to be executed', () => readHolding(child.pid!).environment === '');
  const { capabilities, noNewPrivs, uids, limits } = readHolding(child.pid!);
  assert.deepEqual([capabilities, noNewPrivs, uids[0]], [NO_CAPABILITIES, true, process.getuid!()]);
  assert.deepEqual(limits, { core: 0, files: 4096, fileBytes: spec.fileBytes });
});

test('the kind of a host is found where there is no folder for temporary files, too', async (t) => {
  const own = process.env.TMPDIR;
  const dir = await makeTempDir(t);
  t.after(() => {
    if (own === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = own;
  });
  process.env.TMPDIR = '/nonexistent';
  assert.deepEqual(await findJailKind(dir), { namespaces: 'host', obstacle: null });
  assert.deepEqual(readdirSync(dir), []);
  await assert.rejects(findJailKind('/nonexistent'), { code: 'ENOENT' });
});

test('a jail that may make no user namespace says why, and what to try', async (t) => {
  const spec = await makeSpec(t, { kind: KINDS[1] });
  const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"';
  const user = ['setpriv', `--reuid=${PLAIN_USER}`, `--regid=${PLAIN_USER}`, '--clear-groups'];
  const wrap = (words: readonly string[]) => {
    return [...user, 'unshare', '--user', '--map-root-user', 'sh', '-c', forbid, 'sh', ...words];
  };
  const jail = await startJailed(t, spec, ['true'], wrap);
  const stderr = await text(jail.stderr as Readable);
  assert.match(
    stderr,
    /^monocore-jail: no user namespace can be made: no space is left, or a limit is reached; see the settings user\.max_user_namespaces, .* of sysctl, or run the daemon as root\n$/,
  );
});

test('a jail says which file is missing, and the other architecture has one, too', async (t) => {
  const missing = { id: 'disk', how: 'write' as const, path: '/none/disk.img' };
  const { code, stderr } = await runJailed(t, await makeSpec(t, { files: [missing] }), 'true');
  assert.deepEqual([code, stderr], [126, 'monocore-jail: cannot open /none/disk.img: it does not exist\n']);
  for (const architecture of ['x64', 'arm64']) {
    const path = fileURLToPath(new URL(`../../../../src/vm/qemu/jail/${architecture}/monocore-jail`, import.meta.url));
    const [program, ...args] = [...emulator(architecture), path];
    assert.deepEqual(await once(spawn(program!, args, { stdio: 'ignore' }), 'exit'), [0, null]);
  }
});

/** Asks for a port until it answers; resolves with everything that came. */
async function ask(port: number, question: string | Buffer): Promise<Buffer> {
  const socket = createConnection({ port, host: '127.0.0.9', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.end(question);
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

for (const kind of KINDS) {
  test(`a jail of kind ${kind.namespaces} carries bytes from a port of the host, and ends of them`, async (t) => {
    const port = await findFreePort('tcp', '127.0.0.9');
    const forwards = [{ address: '127.0.0.9', host: port, inner: 1024 }];
    const spec = await makeSpec(t, { kind, forwards });
    const busybox = findStaticBusybox();
    await startJailed(t, spec, ['nc', '-ll', '-p', '1024', '-e', busybox, 'cat']);
    // A connection that comes before the program listens is reset.
    await eventually('the program to listen', async () => (await ask(port, 'x').catch(() => null))?.length === 1);
    const large = randomBytes(5_000_000);
    const answers = await Promise.all([large, 'small', ''].map((question) => ask(port, question)));
    assert.ok(answers[0]!.equals(large));
    assert.deepEqual(answers.slice(1).map(String), ['small', '']);
  });
}

/** `MAX_PAIRS` of relay.h. */
const MAX_CONNECTIONS = 2048;

test('connections above the bound of a jail wait for others to end', async (t) => {
  const ports = [await findFreePort('tcp', '127.0.0.9'), await findFreePort('tcp', '127.0.0.9')];
  const forwards = ports.map((host, index) => ({ address: '127.0.0.9', host, inner: 1024 + index }));
  const busybox = findStaticBusybox();
  // The first port takes no connection: the kernel makes a few of them, and the others wait for it.
  const listen = 'socket(S, 2, 1, 0); bind(S, pack("Sna4x8", 2, 1024, "\\x7f\\0\\0\\1")); listen(S, 1); sleep 1000';
  const script = `${findTestProgram('perl')} -e '${listen}' & ${busybox} nc -ll -p 1025 -e ${busybox} cat`;
  const spec = await makeSpec(t, { forwards, visible: [busybox, ...listPerlFiles()] });
  const jail = await startJailed(t, spec, ['sh', '-c', script]);
  await eventually('the program to listen', async () => (await ask(ports[1]!, 'x').catch(() => null))?.length === 1);
  const taken = Array.from({ length: MAX_CONNECTIONS }, () => createConnection({ port: ports[0]!, host: '127.0.0.9' }));
  defer(t, () => taken.map((socket) => socket.destroy()));
  for (const socket of taken) socket.on('error', () => {});
  const carried = () => Math.floor(listDescriptors(jail.pid!).length / 2);
  await eventually('all of them', () => carried() >= MAX_CONNECTIONS);
  let isAnswered = false;
  const answer = ask(ports[1]!, 'late').then((bytes) => {
    isAnswered = true;
    return String(bytes);
  });
  await once(
    createConnection({ port: ports[1]!, host: '127.0.0.9' }).on('error', () => {}),
    'connect',
  );
  assert.ok(!isAnswered && carried() < MAX_CONNECTIONS + 10);
  taken[0]!.resetAndDestroy();
  assert.equal(await answer, 'late');
});

test('a port that is taken ends a jail with the reason', async (t) => {
  const server = createServer().listen(0, '127.0.0.9');
  defer(t, () => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const spec = await makeSpec(t, { forwards: [{ address: '127.0.0.9', host: port, inner: 1024 }] });
  const { code, stderr } = await runJailed(t, spec, 'true');
  assert.deepEqual(
    [code, stderr],
    [
      126,
      `monocore-jail: cannot listen on 127.0.0.9:${port}:1024: the address is in use; see which program has the port\n`,
    ],
  );
});

/**
 * A host with a network of its own, whose port 80 says hello, and with a device for tunnels that every user may open: it
 * becomes the program, as that user.
 */
const SMALL_HOST = `
  busybox=$1 uid=$2
  shift 2
  $busybox ip link set lo up
  $busybox ip addr add 192.0.2.1/32 dev lo
  mount -t tmpfs tun /dev/net && mknod -m 666 /dev/net/tun c 10 200
  $busybox nc -ll -p 80 -e $busybox echo hello </dev/null >/dev/null 2>&1 &
  exec setpriv --reuid=$uid --regid=$uid --clear-groups "$@"`;

for (const kind of KINDS) {
  test(`a jail of kind ${kind.namespaces} with a way out reaches no address that its host has, or gets`, async (t) => {
    const spec = await makeSpec(t, { kind, goesOut: true });
    const busybox = findStaticBusybox();
    const uid = kind.namespaces === 'user' ? PLAIN_USER : 0;
    const script = `${busybox} cat /etc/resolv.conf; exec ${busybox} sleep 1000`;
    const jail = await startJailed(t, spec, ['sh', '-c', script], (words) => {
      return ['unshare', '--net', '--mount', 'sh', '-c', SMALL_HOST, 'sh', busybox, String(uid), ...words];
    });
    let errors = '';
    jail.stderr!.on('data', (chunk) => {
      errors += chunk;
    });
    const [resolv] = await once(jail.stdout!, 'data');
    assert.equal(String(resolv), 'nameserver 10.0.2.3\n', errors);
    const [server, , watcher, , program] = listChildren(jail.pid!);
    defer(t, () => process.kill(server!, 'SIGKILL'));
    const inNetworkOf = async (pid: number, ...words: string[]): Promise<string> => {
      const child = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, busybox, ...words]);
      const [output] = await Promise.all([text(child.stdout), text(child.stderr)]);
      return output;
    };
    const ask = (address: string) => inNetworkOf(program!, 'nc', '-w', '2', address, '80');
    const addAddress = (address: string) => inNetworkOf(server!, 'ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
    const routes = () => inNetworkOf(program!, 'ip', 'route');

    assert.match(await routes(), /^default via 10\.0\.2\.2 dev tap0/m, errors);
    for (const address of ['192.0.2.1', '127.0.0.1', '127.0.0.9', '10.0.2.2', '169.254.169.254'])
      assert.equal(await ask(address), '', address);
    await addAddress('192.0.2.2');
    await eventually('the route', async () => /^unreachable 192\.0\.2\.2/m.test(await routes()));
    assert.equal(await ask('192.0.2.2'), '');
    // Without the process that watches the addresses it would be reached.
    process.kill(watcher!, 'SIGSTOP');
    await addAddress('192.0.2.3');
    assert.equal(await ask('192.0.2.3'), 'hello\n', errors);
    process.kill(watcher!, 'SIGCONT');
    await eventually('the route', async () => /^unreachable 192\.0\.2\.3/m.test(await routes()));
    assert.equal(await ask('192.0.2.3'), '');

    const { uids, capabilities, noNewPrivs, privateNamespaces, files } = readHolding(watcher!);
    assert.equal(uids[0], kind.namespaces === 'host' ? 0x4d000000 + watcher! : PLAIN_USER);
    const networkOnly = (1 << 12).toString(16).padStart(16, '0');
    assert.deepEqual(capabilities, [
      NO_CAPABILITIES[0],
      networkOnly,
      networkOnly,
      NO_CAPABILITIES[0],
      NO_CAPABILITIES[0],
    ]);
    assert.ok(noNewPrivs && privateNamespaces.includes('net') && !privateNamespaces.includes('pid'));
    assert.deepEqual(files, []);
    jail.kill('SIGKILL');
    await eventually('its end', () => readStat(watcher!)?.state !== 'S');
  });
}
