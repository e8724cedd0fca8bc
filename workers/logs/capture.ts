/** One stream of one VM: its FIFO, the search for its marker, and what is told about it. */
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Clock } from '../../src/clock.ts';
import { errorText } from '../../src/errors.ts';
import type { LogEvent, StreamSource } from '../../src/protocol/logs.ts';
import type { Position, StreamId } from './file-names.ts';
import { type FrameMemory, INPUT_START, recordLabel } from './framer.ts';
import { searchMarker } from './marker.ts';
import { RecordSink } from './record-sink.ts';
import { RollingFile } from './rolling-file.ts';

/** What captures share, and whom they tell. */
export interface CaptureOptions {
  readonly source: StreamSource;
  readonly logDir: string;
  readonly memory: FrameMemory;
  readonly clock: Clock;
  readonly post: (event: LogEvent) => void;
  /** More records are in the files, up to `settled`. */
  readonly onRecords: (id: StreamId, settled: Position) => void;
  /** The stream and its file are closed; called once, before `stream-ended` is posted. */
  readonly onEnded: () => void;
}

/**
 * Reads a FIFO to its end. The only buffer between the VM and the disk is the pipe: while writing fails the FIFO is
 * not read, and the VM waits.
 */
export class Capture {
  readonly id: StreamId;
  readonly #options: CaptureOptions;
  readonly #socket: Socket;
  readonly #file: RollingFile;
  readonly #sink: RecordSink;
  #bytes = 0;
  #marker: Buffer | null = null;
  /** How many bytes of the marker's start came last; they are not with the sink. */
  #held = 0;
  #hasEnded = false;

  /** Throws the system's error when the fd is no pipe; it stays open then. */
  constructor(options: CaptureOptions) {
    const { source, memory, clock, post, onRecords, logDir } = options;
    const { service, stream, maxFileBytes } = source;
    this.id = { service, stream };
    this.#options = options;
    this.#file = new RollingFile({ logDir, id: this.id, maxFileBytes });
    this.#sink = new RecordSink({
      memory,
      file: this.#file,
      label: recordLabel(service, stream),
      clock,
      onWritten: () => {
        const { settled } = this.#file;
        if (settled) onRecords(this.id, settled);
      },
      onStalled: (error) => {
        this.#socket.pause();
        post({ type: 'stalled', ...this.id, error: errorText(error) });
      },
      onRecovered: () => {
        post({ type: 'recovered', ...this.id });
        this.#socket.resume();
      },
    });
    const socketOptions: SocketConstructorOpts & ConnectOpts = {
      fd: source.fd,
      readable: true,
      writable: false,
      // The callback is synchronous, so all streams can share one buffer.
      onread: { buffer: memory.input, callback: (length) => this.#take(length) },
    };
    this.#socket = new Socket(socketOptions);
    // What cannot be read any more has ended; 'close' follows.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#finish());
    this.#sink.open();
  }

  /** End of the last whole record in the files; null while they cannot be opened. */
  get settled(): Position | null {
    return this.#file.settled;
  }

  /** Looks for `marker` from the next byte on; see `markerBytes`. */
  expectMarker(marker: Buffer): void {
    this.#release();
    this.#marker = marker;
  }

  /**
   * Ends the capture now. What is in the FIFO stays there for the next reader, if the VM holds it open.
   *
   * @returns bytes that were read and could not be written
   */
  async close(): Promise<number> {
    if (!this.#socket.closed) {
      const closed = new Promise((resolve) => this.#socket.once('close', resolve));
      this.#socket.destroy();
      await closed;
    }
    const lostBytes = this.#sink.finish();
    this.#end();
    return lostBytes;
  }

  #take(length: number): boolean {
    this.#bytes += length;
    if (this.#marker) this.#takeMarked(length, this.#marker);
    else this.#sink.write(INPUT_START, INPUT_START + length);
    return true;
  }

  #takeMarked(length: number, marker: Buffer): void {
    const { memory, post } = this.#options;
    const from = INPUT_START - this.#held;
    const to = INPUT_START + length;
    memory.bytes.set(marker.subarray(0, this.#held), from);
    const { at, held } = searchMarker(memory.bytes.subarray(from, to), marker);
    this.#held = held;
    if (at === -1) {
      this.#sink.write(from, to - held);
      return;
    }
    this.#marker = null;
    this.#bytes -= marker.length;
    this.#sink.write(from, from + at);
    this.#sink.endLine();
    this.#sink.afterWrites(() => post({ type: 'marker-seen', ...this.id }));
    this.#sink.write(from + at + marker.length, to);
  }

  #release(): void {
    if (this.#marker && this.#held > 0) this.#sink.writeBytes(this.#marker.subarray(0, this.#held));
    this.#held = 0;
  }

  #finish(): void {
    this.#release();
    this.#sink.endLine();
    this.#sink.afterWrites(() => this.#end());
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#file.close();
    this.#options.onEnded();
    this.#options.post({ type: 'stream-ended', ...this.id, bytes: this.#bytes, lines: this.#sink.lines });
  }
}
