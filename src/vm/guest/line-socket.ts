/** Client of a line protocol, see {@link PeerSocket}. */
import { StringDecoder } from 'node:string_decoder';
import { type Rate, TokenBucket } from '../../lib/token-bucket.ts';
import { KIB, MIB } from '../../lib/units.ts';
import { PeerSocket } from './peer-socket.ts';

/** Limit for an unfinished line, which is dropped: the other side is not trusted. */
const MAX_LINE_BYTES = 64 * KIB;
/** Limit on incoming bytes: a few lines a second are usual. */
const INCOMING_BYTES: Rate = { burst: 2 * MIB, perSecond: 128 * KIB };

/** Settings of a {@link LineSocket}. */
export interface LineProtocol {
  /** Sent first on each new connection. */
  readonly greeting: string;
  /** Limit on incoming lines. */
  readonly lines: Rate;
  /** Receives each line without its line ending. */
  readonly onLine: (line: string) => void;
  /** As that of a {@link PeerSocket}, also when more comes than may. */
  readonly onOffence: (offence: string) => void;
}

/** Takes lines from a {@link PeerSocket}, no more than their rate allows. Main thread. */
export class LineSocket extends PeerSocket {
  constructor(path: string, { greeting, lines: rate, onLine, onOffence }: LineProtocol) {
    const lines = new TokenBucket(rate);
    const bytes = new TokenBucket(INCOMING_BYTES);
    let decoder = new StringDecoder('utf8');
    let pending = '';
    super(path, {
      onOffence,
      greet: () => {
        pending = '';
        decoder = new StringDecoder('utf8');
        return greeting;
      },
      onData: (data) => {
        const text = decoder.write(data);
        const parts = (pending + text).split('\n');
        pending = parts.pop() ?? '';
        if (pending.length > MAX_LINE_BYTES) pending = '';
        if (!bytes.take(data.length) || !lines.take(parts.length)) this.offend('flooded');
        // A line may close the connection.
        for (const line of parts) if (!this.isClosed) onLine(line);
      },
    });
  }
}
