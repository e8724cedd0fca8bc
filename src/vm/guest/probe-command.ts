/** A probe in the words of the guest's init, and what its answer means. Pure. */
import type { ProbeResult, VmProbe } from '../backend.ts';
import { quote } from './job.ts';

/** First line of an HTTP response: RFC 9112, section 4. */
const STATUS_LINE = /^HTTP\/\d(?:\.\d)? (\d{3})\b/;

/** A word for the guest's shell that is part of one line: `$newline` is set there. */
function quoteInLine(word: string): string {
  return quote(word).replaceAll('\n', `'"$newline"'`);
}

/** What stands behind the id and the seconds of a `probe` in the control port's protocol: see `guest/init`. */
export function renderProbe(probe: VmProbe): string {
  switch (probe.type) {
    case 'tcp':
      return `tcp ${probe.port}`;
    case 'http':
      return `http ${probe.port} ${quoteInLine(probe.path)}`;
    case 'exec':
      return ['exec', ...probe.command.map(quoteInLine)].join(' ');
  }
}

/** An answer of the guest. */
export interface ProbeAnswer {
  /** 0 when a connection was made, or the exit code of the command. */
  readonly status: number;
  /** `http`: the first line of the response. `exec`: `started`, or `failed <reason>` where it could not be run. */
  readonly text: string;
}

/** What an answer says about the service. */
export function judgeAnswer({ type }: VmProbe, { status, text }: ProbeAnswer): ProbeResult {
  if (type === 'exec') {
    const reason = /^failed (.+)/.exec(text)?.[1];
    return { ok: status === 0, detail: reason ?? `exit code ${status}` };
  }
  // Over the loopback a connection is made or refused; a port that does neither leaves the probe without an answer.
  if (status !== 0) return { ok: false, detail: 'connection refused' };
  if (type === 'tcp') return { ok: true, detail: 'connection accepted' };
  const code = STATUS_LINE.exec(text)?.[1];
  if (code === undefined) return { ok: false, detail: 'no HTTP response' };
  return { ok: code >= '200' && code < '400', detail: `status ${code}` };
}
