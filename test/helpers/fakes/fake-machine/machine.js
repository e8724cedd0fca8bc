/**
 * A machine without a kernel: `machine.js <control socket> <exit record> <protocol>` boots at once and speaks the protocol
 * of the agent in a guest, see `src/vm/guest/agent/protocol.ts`, whose exports it gets as JSON. Descriptors 1 and 2 are the
 * console, 3 and 4 the streams of the command, which runs on the host. Probes of pages and secrets are not supported. A job
 * with the variable FLOODS gets the port of that name flooded, which root in a guest can do: `control`, `exit`, `console`,
 * `stdout`, `stderr`.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, write } from 'node:fs';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';

const [controlPath, exitRecord, protocol] = process.argv.slice(2);
const { FRAME_TYPES, HEAD_BYTES, END_MARK, GENERATION, MORE } = JSON.parse(protocol);
const NAMES = new Map(Object.entries(FRAME_TYPES).map(([name, number]) => [number, name]));

/** Runs `launch <folder> <command>…`; descriptor 5 tells what became of it. */
const LAUNCHER = `
cd "$1" 2>/dev/null || { echo "failed the working directory $1 cannot be entered" >&5; exit 126; }
shift
command -v "$1" >/dev/null || { echo "failed command not found: $1" >&5; exit 127; }
echo started >&5
exec "$@" 5>&-`;

/** The limit of a VM process for its exit record, see `makeBoundedRecord`. */
const RECORD_BYTES = 4096;
const FLOOD_FDS = { console: 1, stdout: 3, stderr: 4 };
const FLOOD_TEXT = 'flood\n'.repeat(1000);
const RETRY_MS = 50;

let tellState = () => tell('ready');
let peer = null;
let words = [];
let job = null;
const probes = new Map();

function renderFrame(type, session = 0, body = Buffer.alloc(0)) {
  const frame = Buffer.alloc(HEAD_BYTES + body.length + 1, END_MARK);
  frame.writeUInt16LE(FRAME_TYPES[type], 0);
  frame.writeUInt16LE(body.length, 2);
  frame.writeUInt32LE(session, 4);
  body.copy(frame, HEAD_BYTES);
  return frame;
}

function tell(...parts) {
  peer?.write(renderFrame(...parts));
}

/** Values of the words with that key. */
function valuesOf(list, key) {
  return list.filter((word) => word.startsWith(`${key}=`)).map((word) => word.slice(key.length + 1));
}

/** A machine that is killed takes its command with it, see prctl(2). */
function run(command, stdio, options) {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio, detached: true, ...options });
}

function environment() {
  return Object.fromEntries(valuesOf(words, 'env').map((text) => text.split(/=(.*)/s)));
}

function killGroup(child, signal = 'SIGKILL') {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

function startJob() {
  tellState = () => tell('starting');
  const [workdir] = valuesOf(words, 'workdir');
  const command = ['/bin/sh', '-c', LAUNCHER, 'sh', workdir, ...valuesOf(words, 'arg')];
  job = run(command, ['ignore', 3, 4, 'ignore', 'ignore', 'pipe'], { env: environment() });
  job.stdio[5].setEncoding('utf8').on('data', (text) => {
    if (text.startsWith('started')) {
      tellState = () => tell('running');
      tell('started');
      const { FLOODS } = environment();
      if (FLOODS) flood(FLOODS);
    } else {
      tell('failed', 0, Buffer.from(text.trim().slice('failed '.length)));
    }
  });
  job.once('close', (code, signal) => {
    const status = signal === null ? code : 128 + constants.signals[signal];
    try {
      appendFileSync(exitRecord, `exit ${status}\n`);
    } catch {
      // The disk is full, or the folder was deleted: the control port tells it.
    }
    killGroup(job);
    tellState = () => tell('exited', 0, Buffer.of(status, 0));
    tellState();
  });
}

/** Writes to a port for ever. */
function flood(port) {
  if (port === 'exit') fillRecord();
  else if (port === 'control') floodPeer();
  else floodStream(FLOOD_FDS[port]);
}

/** The kernel ends the process that writes on. */
function fillRecord() {
  try {
    appendFileSync(exitRecord, 'x'.repeat(RECORD_BYTES));
    process.kill(process.pid, 'SIGKILL');
  } catch {
    // No space yet.
    setTimeout(fillRecord, RETRY_MS);
  }
}

function floodPeer() {
  for (let count = 0; count < 1000 && peer && !peer.writableNeedDrain; count += 1) tell('ready');
  setTimeout(floodPeer, 1);
}

function floodStream(fd) {
  // The console does not wait for its reader.
  write(fd, FLOOD_TEXT, (error) => setTimeout(() => floodStream(fd), error ? RETRY_MS : 0));
}

function startProbe(session, list) {
  const answer = (status) => {
    if (probes.delete(session)) tell('probed', session, Buffer.of(status));
  };
  const [kind] = valuesOf(list, 'kind');
  if (kind === 'tcp') {
    const socket = connect(Number(valuesOf(list, 'port')[0]), '127.0.0.1');
    probes.set(session, () => socket.destroy());
    socket.once('connect', () => answer(0)).once('error', () => answer(1));
    socket.once('connect', () => socket.destroy());
    return;
  }
  const child = run(valuesOf(list, 'arg'), 'ignore');
  const timer = setTimeout(() => killGroup(child), Number(valuesOf(list, 'timeout_ms')[0]));
  probes.set(session, () => killGroup(child));
  child.once('close', (code) => {
    clearTimeout(timer);
    killGroup(child);
    answer(code ?? 137);
  });
}

function abortProbe(session) {
  probes.get(session)?.();
  probes.delete(session);
  tell('probed', session, Buffer.of(137));
}

function greet(body) {
  const generation = Buffer.alloc(2);
  generation.writeUInt16LE(GENERATION);
  tell('hello-answer', 0, Buffer.concat([body.subarray(2), generation]));
  tellState();
}

function obey(type, session, body) {
  const list = () => body.toString().split('\0').slice(0, -1);
  if (type === 'hello') greet(body);
  if (type === 'job') words = list();
  if (type === 'start') startJob();
  if (type === 'signal') job?.kill(body[0]);
  if (type === 'probe') startProbe(session, list());
  if (type === 'abort') abortProbe(session);
  // Not in order with what is being written by then, but behind all that the command wrote, which is in the pipe.
  if (type === 'drain') for (const fd of [3, 4]) write(fd, Buffer.from(body), () => {});
  if (type === 'off') process.exit();
}

/** Parts of a message that is not whole. */
let parts = [];

/** Takes whole frames off the bytes, of which the rest of a cut one has no end mark; returns the rest. */
function take(bytes) {
  for (;;) {
    while (bytes[0] === 0) bytes = bytes.subarray(1);
    if (bytes.length < HEAD_BYTES) return bytes;
    const end = HEAD_BYTES + bytes.readUInt16LE(2);
    if (bytes.length <= end) return bytes;
    if (bytes[end] === END_MARK) {
      parts.push(bytes.subarray(HEAD_BYTES, end));
      if (bytes[1] !== MORE) obey(NAMES.get(bytes[0]), bytes.readUInt32LE(4), Buffer.concat(parts.splice(0)));
    }
    bytes = bytes.subarray(end + 1);
  }
}

createServer((socket) => {
  peer = socket;
  let pending = Buffer.alloc(0);
  parts = [];
  socket.on('data', (chunk) => {
    pending = take(Buffer.concat([pending, chunk]));
  });
  socket.on('error', () => {});
  socket.once('close', () => {
    if (peer === socket) peer = null;
  });
}).listen(controlPath, () => process.stdout.write('the fake machine has booted\n'));
