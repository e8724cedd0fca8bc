/** Doors of guests, and of the QEMUs that they may have taken over. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { VmProbe } from '../../../src/vm/backend.ts';
import { MAX_BODY_BYTES } from '../../../src/vm/guest/agent/protocol.ts';
import { AgentFrameReader, renderMessage } from '../../../src/vm/guest/agent-frames.ts';
import { readGuestMessage } from '../../../src/vm/guest/control-channel.ts';
import { judgeAnswer } from '../../../src/vm/guest/health-probe.ts';
import { MachineMonitor } from '../../../src/vm/qemu/monitor.ts';
import { readDatagram } from '../../../workers/network/datagram.ts';
import { FrameReader, isGenuine } from '../../../workers/network/frame.ts';
import { Gateway } from '../../../workers/network/gateway.ts';
import { arpFrame, datagramOf, frameOf } from '../../helpers/network/harness.ts';
import type { Door } from '../door.ts';

const PROBES: readonly VmProbe[] = [
  { type: 'tcp', port: 80 },
  { type: 'http', port: 80, path: '/' },
  { type: 'exec', command: ['true'] },
];

function enterGuest(input: Buffer): void {
  const reader = new AgentFrameReader();
  const half = Math.floor(input.length / 2);
  for (const part of [input.subarray(0, half), input.subarray(half)]) {
    const areFrames = reader.push(part, (frame) => {
      assert.ok(frame.body.length <= MAX_BODY_BYTES);
      enterMessage(readGuestMessage(frame));
      return true;
    });
    // The connection is closed for it.
    if (!areFrames) return;
  }
}

function enterMessage(message: ReturnType<typeof readGuestMessage>): void {
  if (message?.type === 'failed') assert.ok(message.reason.length <= 1000);
  if (message?.type === 'exit') assert.ok(message.code >= 0 && message.code <= 255);
  if (message?.type !== 'probed') return;
  const { answer } = message;
  assert.ok(answer.text.length <= 1000);
  for (const probe of PROBES) assert.ok(judgeAnswer(probe, answer).detail.length <= 1000);
}

/** Frames of an agent. */
async function makeGuests(): Promise<readonly Buffer[]> {
  const frames = [
    renderMessage('hello-answer', 0, Buffer.alloc(18, 1)),
    renderMessage('ready'),
    renderMessage('failed', 0, Buffer.from('command not found: x')),
    renderMessage('exited', 0, Buffer.of(137, 1)),
    renderMessage('probed', 7, Buffer.from('\0HTTP/1.1 200 OK\r')),
    renderMessage('output', 8, Buffer.alloc(MAX_BODY_BYTES, 'x')),
  ];
  return [...frames, Buffer.concat(frames)];
}

const REASONS = [null, 'guest-panic', 'guest-reset', 'vm-crash'];

/** A monitor whose QEMU sends the input and goes. */
async function enterQmp(input: Buffer, dir: string): Promise<void> {
  const path = join(dir, 'qmp');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const pauses: (string | null)[] = [];
  let kills = 0;
  const kill = (): void => {
    kills += 1;
  };
  const monitor = new MachineMonitor(path, kill, (reason) => pauses.push(reason));
  const [peer] = (await once(server, 'connection')) as [Socket];
  server.close();
  peer.on('error', () => {}).resume();
  const examined = monitor.examine();
  await once(peer, 'data');
  const ended = monitor.endReason({ code: 0, signal: null }, false);
  peer.end(input);
  assert.ok(REASONS.includes(await ended));
  assert.match(await examined, /^its processors are at /);
  assert.ok(kills <= 2 && pauses.every((reason) => reason === null || reason !== ''));
}

function makeQmpLines(): Buffer[] {
  const events = [
    { QMP: { version: { qemu: { major: 7 } }, capabilities: [] } },
    { return: {}, id: 0 },
    { return: { status: 'io-error' }, id: 1 },
    { return: 'RIP=ffffffff81000000', id: 2 },
    { error: { class: 'GenericError', desc: 'no' }, id: 3 },
    { event: 'BLOCK_IO_ERROR', data: { action: 'stop', nospace: true } },
    { event: 'SHUTDOWN', data: { guest: true, reason: 'guest-reset' } },
  ];
  const panic = { event: 'GUEST_PANICKED', data: { action: 'pause' } };
  return [events, [events[0], panic]].map((lines) =>
    Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
  );
}

function enterFrames(input: Buffer): void {
  const answers: Buffer[] = [];
  const handlers = { send: (framed: Buffer) => answers.push(framed), drop: () => {}, onPorts: () => {} };
  const gateway = new Gateway({ service: 'web', index: 1, group: null, socketPath: '', udp: UDP }, handlers);
  const onFrame = (framed: Buffer): void => {
    if (!isGenuine(framed, 1)) return;
    const datagram = readDatagram(framed);
    assert.ok(datagram === null || datagram.payload.length <= framed.length);
    gateway.receive(framed);
  };
  const reader = new FrameReader({ onFrame, onOversize: () => {} });
  try {
    const half = Math.floor(input.length / 2);
    reader.push(input.subarray(0, half));
    reader.push(input.subarray(half));
  } catch (error) {
    // The link is closed for it.
    if (!(error instanceof RangeError)) throw error;
    assert.match(error.message, /frame of \d+ bytes/);
  } finally {
    gateway.close();
  }
  for (const answer of answers) assert.equal(answer.readUInt32BE(), answer.length - 4);
}

/** Any port of the host. */
const UDP = [{ address: '127.0.0.1', host: 0, guest: 1024 }];

export const GUEST_DOORS = {
  guest: { seeds: makeGuests, enter: enterGuest },
  qmp: { seeds: async () => makeQmpLines(), enter: enterQmp },
  frames: {
    seeds: async () => [
      ...[arpFrame({ from: 1 }), arpFrame({ from: 1, targetIp: '10.83.255.254' }), frameOf()],
      datagramOf({ sourcePort: 53, destinationPort: 1024 }),
    ],
    enter: enterFrames,
  },
} as const satisfies Record<string, Door>;
