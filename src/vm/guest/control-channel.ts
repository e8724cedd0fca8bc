/** Host's end of the control port: messages to the agent of a guest and from it, see `agent/protocol.ts`. */
import { constants } from 'node:os';
import type { GroupMember } from '../../protocol/network.ts';
import type { VmProbe } from '../backend.ts';
import { AgentConnection } from './agent-connection.ts';
import { type Frame, renderMessage, renderWords } from './agent-frames.ts';
import type { AgentSession } from './agent-session.ts';
import type { Job } from './job.ts';

/** Limit for a text of the guest that is kept and shown. */
const MAX_TEXT_LENGTH = 1000;

/** Reply of a guest to a probe. */
export interface ProbeAnswer {
  /** 0 if a connection was made, or the exit code of the command. */
  readonly status: number;
  /** `http`: the first line of the response. `exec`: reason why the command could not be run, empty when it was. */
  readonly text: string;
}

/** Messages from a guest. */
export type GuestMessage =
  | { readonly type: 'ready' }
  /** The guest has received its job, but the command may not be running yet. */
  | { readonly type: 'starting' }
  | { readonly type: 'running' }
  | { readonly type: 'started' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'exit'; readonly code: number; readonly oomKilled: boolean }
  | { readonly type: 'probed'; readonly session: number; readonly answer: ProbeAnswer };

/** First line of a text of the guest, cut. */
function textOf(body: Buffer): string {
  return body.toString('utf8').split('\n', 1)[0]!.slice(0, MAX_TEXT_LENGTH);
}

/** Reads a frame of the guest, which is not trusted; null for one that is no message of it. */
export function readGuestMessage({ type, session, body }: Frame): GuestMessage | null {
  switch (type) {
    case 'ready':
    case 'starting':
    case 'running':
    case 'started':
      return { type };
    case 'failed':
      return { type, reason: textOf(body) || 'the guest gave no reason' };
    case 'exited':
      return body.length === 2 ? { type: 'exit', code: body[0]!, oomKilled: body[1] === 1 } : null;
    case 'probed':
      return body.length === 0 ? null : { type, session, answer: { status: body[0]!, text: textOf(body.subarray(1)) } };
    default:
      return null;
  }
}

/** A command that runs beside the job. */
export interface ExecRequest {
  readonly command: readonly string[];
  /** Variables that replace those of the job, or are added to them. */
  readonly envs?: Readonly<Record<string, string>>;
  /** As for the job; null for its own. */
  readonly workdir?: string | null;
  readonly user?: string | null;
  /** Size of its terminal; null for none. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | null;
}

/** Words of a command beside the job. */
export function renderExec({
  command,
  envs = {},
  workdir = null,
  user = null,
  terminal = null,
}: ExecRequest): string[] {
  const words = command.map((word) => `arg=${word}`);
  words.push(...Object.entries(envs).map(([name, value]) => `env=${name}=${value}`));
  if (workdir !== null) words.push(`workdir=${workdir}`);
  if (user !== null) words.push(`user=${user}`);
  if (terminal !== null) words.push(`tty=${terminal.columns}x${terminal.rows}`);
  return words;
}

/** Number of a signal that is named without its `SIG`, or by its number; 0 for an unknown one. */
function signalNumber(signal: string): number {
  const known: Readonly<Record<string, number>> = constants.signals;
  return known[`SIG${signal}`] ?? (Number(signal) || 0);
}

/** Words of a probe. */
export function renderProbe(probe: VmProbe, timeoutMs: number): string[] {
  const words = [`kind=${probe.type}`, `timeout_ms=${Math.ceil(timeoutMs)}`];
  switch (probe.type) {
    case 'tcp':
      return [...words, `port=${probe.port}`];
    case 'http':
      return [...words, `port=${probe.port}`, `path=${probe.path}`];
    case 'exec':
      return [...words, ...probe.command.map((word) => `arg=${word}`)];
  }
}

/**
 * Control port of one VM. The agent tells its state to each new connection, so it is known whatever was missed; messages
 * may therefore come twice. Main thread.
 */
export class ControlChannel extends AgentConnection {
  /** @param onOffence see `PeerProtocol` */
  constructor(path: string, onMessage: (message: GuestMessage) => void, onOffence: (offence: string) => void) {
    super(path, {
      onOffence,
      onFrame: (frame) => {
        const message = readGuestMessage(frame);
        if (message) onMessage(message);
      },
      onMismatch: () => {
        const reason = 'the agent in the guest is one of another version of monocore; restart the service';
        onMessage({ type: 'failed', reason });
      },
    });
  }

  /** Sends the job once, and the time; the guest answers `started` or `failed`. */
  sendJob({ words, secrets }: Job): void {
    const messages = [
      renderMessage('clock', 0, renderTime(Date.now())),
      renderMessage('job', 0, renderWords(words)),
      ...secrets.map(({ name, content }) =>
        renderMessage('secret', 0, Buffer.concat([Buffer.from(`${name}\0`), content])),
      ),
      renderMessage('start'),
    ];
    this.send(Buffer.concat(messages));
  }

  /** Sets the names of the group members, replacing all earlier ones. */
  sendHosts(members: readonly GroupMember[]): void {
    const lines = members.map(({ address, name }) => `${address} ${name}\n`);
    this.sendMessage('hosts', 0, Buffer.from(lines.join('')));
  }

  /** Sends a signal to the command. @param signal without the prefix `SIG`, or a number */
  sendSignal(signal: string): void {
    this.sendMessage('signal', 0, Buffer.of(signalNumber(signal)));
  }

  /** Sets the guest's clock, which stands still with its machine. */
  sendClock(): void {
    this.sendMessage('clock', 0, renderTime(Date.now()));
  }

  /** Starts a probe; the guest answers `probed`, unless it kills the probe when the time is up. Returns its session. */
  sendProbe(probe: VmProbe, timeoutMs: number): number {
    const session = this.nextSession();
    this.sendMessage('probe', session, renderWords(renderProbe(probe, timeoutMs)));
    return session;
  }

  /** Kills a probe; the guest answers `probed`, even when the probe has ended already. */
  sendAbort(session: number): void {
    this.sendMessage('abort', session);
  }

  /** Runs a command beside the job. */
  exec(request: ExecRequest): AgentSession {
    return this.openSession('exec', renderExec(request));
  }

  /** Connects with a TCP port of the guest. */
  connect(address: string, port: number): AgentSession {
    return this.openSession('connect', [`address=${address}`, `port=${port}`]);
  }

  sendDrain(marker: string): void {
    this.sendMessage('drain', 0, Buffer.from(marker));
  }

  sendOff(): void {
    this.sendMessage('off');
  }
}

function renderTime(ms: number): Buffer {
  const time = Buffer.alloc(12);
  time.writeBigUInt64LE(BigInt(Math.floor(ms / 1000)));
  time.writeUInt32LE((ms % 1000) * 1_000_000, 8);
  return time;
}
