/**
 * A machine without a kernel: `machine.js <control socket> <exit record>` boots at once and speaks the protocol of the
 * control port as `src/vm/guest/init` does. Descriptors 1 and 2 are the console, 3 and 4 the streams of the command, which
 * runs on the host. Probes of pages and secrets are not supported. A job with the variable FLOODS gets the port of that name
 * flooded, which root in a guest can do: `control`, `exit`, `console`, `stdout`, `stderr`.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, write } from 'node:fs';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';

const [controlPath, exitRecord] = process.argv.slice(2);

/** Runs the job, which is sourced as in a guest; descriptor 5 tells what became of it. */
const LAUNCHER = `
eval "$1"
launch() {
  cd "$1" 2>/dev/null || { echo "failed the working directory $1 cannot be entered" >&5; exit 126; }
  shift 2
  command -v "$1" >/dev/null || { echo "failed command not found: $1" >&5; exit 127; }
  echo started >&5
  exec "$@" 5>&-
}
set_environment
with_job launch`;

/** Words of a probe, which are one line: see `renderProbe`. */
const PROBE = `newline='\n'; eval "set -- $1"; exec "$@"`;

/** The limit of a VM process for its exit record, see `makeBoundedRecord`. */
const RECORD_BYTES = 4096;
const FLOOD_FDS = { console: 1, stdout: 3, stderr: 4 };
const FLOOD_TEXT = 'ready\n'.repeat(1000);
const RETRY_MS = 50;

let state = 'ready';
let peer = null;
let job = null;
const probes = new Map();

function tell(line) {
  peer?.write(`${line}\n`);
}

/** A machine that is killed takes its command with it, see prctl(2). */
function run(script, args, stdio) {
  const words = ['--pdeathsig', 'KILL', '/bin/sh', '-c', script, 'sh', ...args];
  return spawn('setpriv', words, { stdio, detached: true });
}

function killGroup(child, signal = 'SIGKILL') {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

function startJob(script) {
  state = 'starting';
  job = run(LAUNCHER, [script], ['ignore', 3, 4, 'ignore', 'ignore', 'pipe']);
  const [, flooded] = /\bFLOODS=['"]?(\w+)/.exec(script) ?? [];
  job.stdio[5].setEncoding('utf8').on('data', (text) => {
    if (text.startsWith('started')) state = 'running';
    tell(text.trim());
    if (flooded && state === 'running') flood(flooded);
  });
  job.once('close', (code, signal) => {
    state = `exit ${signal === null ? code : 128 + constants.signals[signal]}`;
    try {
      appendFileSync(exitRecord, `${state}\n`);
    } catch {
      // The disk is full, or the folder was deleted: the control port tells it.
    }
    killGroup(job);
    tell(state);
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
  if (peer && !peer.writableNeedDrain) peer.write(FLOOD_TEXT);
  setTimeout(floodPeer, 1);
}

function floodStream(fd) {
  // The console does not wait for its reader.
  write(fd, FLOOD_TEXT, (error) => setTimeout(() => floodStream(fd), error ? RETRY_MS : 0));
}

function startProbe([id, seconds, kind, ...words]) {
  const answer = (text) => {
    if (probes.delete(id)) tell(`probed ${id} ${text}`);
  };
  if (kind === 'tcp') {
    const socket = connect(Number(words[0]), '127.0.0.1');
    probes.set(id, () => socket.destroy());
    socket.once('connect', () => answer('0')).once('error', () => answer('1'));
    socket.once('connect', () => socket.destroy());
    return;
  }
  const child = run(PROBE, [words.join(' ')], 'ignore');
  const timer = setTimeout(() => killGroup(child), Number(seconds) * 1000);
  probes.set(id, () => killGroup(child));
  child.once('close', (code) => {
    clearTimeout(timer);
    killGroup(child);
    answer(`${code ?? 137} started`);
  });
}

function abortProbe(id) {
  probes.get(id)?.();
  probes.delete(id);
  tell(`probed ${id} 137`);
}

function obey(verb, words) {
  if (verb === 'hello') tell(state);
  if (verb === 'sig') job?.kill(Number(words[0]) || `SIG${words[0]}`);
  if (verb === 'probe') startProbe(words);
  if (verb === 'abort') abortProbe(words[0]);
  // Not in order with what is being written by then, but behind all that the command wrote, which is in the pipe.
  if (verb === 'drain') for (const fd of [3, 4]) write(fd, words[0], () => {});
  if (verb === 'off') process.exit();
}

/** Takes whole lines off the bytes, and the script behind `job`; returns the rest. */
function take(bytes) {
  for (;;) {
    const end = bytes.indexOf(10);
    if (end === -1) return bytes;
    const [verb, ...words] = bytes.toString('utf8', 0, end).split(' ');
    const next = end + 1 + (verb === 'job' ? Number(words[0]) : 0);
    if (bytes.length < next) return bytes;
    if (verb === 'job') startJob(bytes.toString('utf8', end + 1, next));
    else obey(verb, words);
    bytes = bytes.subarray(next);
  }
}

createServer((socket) => {
  peer = socket;
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    pending = take(Buffer.concat([pending, chunk]));
  });
  socket.on('error', () => {});
  socket.once('close', () => {
    if (peer === socket) peer = null;
  });
}).listen(controlPath, () => process.stdout.write('the fake machine has booted\n'));
