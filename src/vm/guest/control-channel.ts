/** Host's end of the control port: a line-based protocol with the guest's init, see `guest/init`. */
import type { Rate } from '../../lib/token-bucket.ts';
import type { GroupMember } from '../../protocol/network.ts';
import { STATUS } from '../host/exit-record.ts';
import type { Job } from './job.ts';
import { LineSocket } from './line-socket.ts';

/** Rate of lines from a guest: a probe may be due every tenth of a second, and all other messages are rare. */
const LINES: Rate = { burst: 1000, perSecond: 100 };
const EXIT = new RegExp(`^(${STATUS})( oom)?$`);
const PROBED = new RegExp(`^([0-9a-f]+) (${STATUS})(?: (.*))?$`);
/** Maximum length of a text from the guest that is kept and shown. */
const MAX_TEXT_LENGTH = 1000;

/** Reply of a guest to a probe. */
export interface ProbeAnswer {
  /** 0 if a connection was made, or the exit code of the command. */
  readonly status: number;
  /** `http`: the first line of the response. `exec`: `started`, or `failed <reason>` if it could not be run. */
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
  | { readonly type: 'probed'; readonly id: string; readonly answer: ProbeAnswer };

function parseExit(text: string): GuestMessage | null {
  const [, code, oom] = EXIT.exec(text) ?? [];
  return code === undefined ? null : { type: 'exit', code: Number(code), oomKilled: oom !== undefined };
}

function parseProbed(text: string): GuestMessage | null {
  const [, id, status, rest] = PROBED.exec(text) ?? [];
  return id === undefined
    ? null
    : { type: 'probed', id, answer: { status: Number(status), text: (rest ?? '').slice(0, MAX_TEXT_LENGTH) } };
}

/** Parses a line from the guest, which is not trusted; null for a line outside the protocol. */
export function parseGuestMessage(line: string): GuestMessage | null {
  const [verb, ...rest] = line.trim().split(' ');
  const argument = rest.join(' ');
  switch (verb) {
    case 'ready':
    case 'starting':
    case 'running':
    case 'started':
      return { type: verb };
    case 'failed':
      return { type: 'failed', reason: argument.slice(0, MAX_TEXT_LENGTH) || 'the guest gave no reason' };
    case 'exit':
      return parseExit(argument);
    case 'probed':
      return parseProbed(argument);
    default:
      return null;
  }
}

/**
 * Control port of one VM. Each new connection begins with `hello`, so the guest's state is known whatever was missed;
 * messages may therefore arrive twice. Main thread.
 */
export class ControlChannel extends LineSocket {
  /** Creates the channel. @param onOffence see `LineProtocol` */
  constructor(path: string, onMessage: (message: GuestMessage) => void, onOffence: (offence: string) => void) {
    const onLine = (line: string): void => {
      const message = parseGuestMessage(line);
      if (message) onMessage(message);
    };
    super(path, { greeting: 'hello\n', lines: LINES, onLine, onOffence });
  }

  /** Sends the job once; the guest answers `started` or `failed`. */
  sendJob({ script, secrets }: Job): void {
    const head = `job ${Buffer.byteLength(script)}\n${script}`;
    this.send(Buffer.concat([Buffer.from(head), ...secrets.map(({ content }) => content)]));
  }

  /** Sets the names of the group members, replacing all earlier ones. */
  sendHosts(members: readonly GroupMember[]): void {
    this.send(`hosts ${members.map(({ address, name }) => `${address} ${name}`).join(' ')}\n`);
  }

  /** Sends a signal to the command. @param signal without the prefix `SIG`, or a number */
  sendSignal(signal: string): void {
    this.send(`sig ${signal}\n`);
  }

  /**
   * Starts a probe; the guest replies with `probed`, unless it kills the probe at its deadline.
   *
   * @param id hexadecimal digits
   * @param words see {@link renderProbe}
   */
  sendProbe(id: string, timeoutMs: number, words: string): void {
    this.send(`probe ${id} ${timeoutMs / 1000} ${words}\n`);
  }

  /** Kills a probe; the guest replies with `probed`, even if the probe has already ended. */
  sendAbort(id: string): void {
    this.send(`abort ${id}\n`);
  }

  /** Makes the guest write the marker to its streams. @param marker must not contain white space */
  sendDrain(marker: string): void {
    this.send(`drain ${marker}\n`);
  }

  sendOff(): void {
    this.send('off\n');
  }
}
