/** One stream of one VM: its FIFO, the search for its marker, and what is told about it. */
import { readSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Clock } from '../../../src/lib/clock.ts';
import { errorCode, errorText } from '../../../src/lib/errors.ts';
import { repairTail } from '../../../src/protocol/log-files/formats.ts';
import type { HeldOutput, HeldStep, LogEvent, StreamSource } from '../../../src/protocol/logs.ts';
import { type FrameMemory, type Framer, INPUT_START } from '../format/framer.ts';
import { createFramer } from '../format/framers.ts';
import { searchMarker } from './end-marker.ts';
import type { Position, StreamId } from './file-names.ts';
import type { Files } from './files.ts';
import { RecordWriter } from './record-writer.ts';
import { RollingFile } from './rolling-file.ts';
import type { DiskPace } from './slow-disk.ts';
import { takeSteps } from './steps.ts';
import { RecordSink } from './stream-writer.ts';

/** The most that a pipe holds, unless root allows more: `fs.pipe-max-size`, see pipe(7). */
const MAX_PIPE_BYTES = 2 ** 20;

/** What captures share, and whom they tell. */
export interface CaptureOptions {
  readonly source: StreamSource;
  readonly logDir: string;
  readonly memory: FrameMemory;
  readonly pace: DiskPace;
  readonly files: Files;
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
  readonly #framer: Framer;
  readonly #sink: RecordSink;
  #bytes = 0;
  #marker: Buffer | null = null;
  /** How many bytes of the marker's start came last; they are not with the sink. */
  #held = 0;
  #isPaused = false;
  /** How much may still be read; null for as much as comes. */
  #restBytes: number | null = null;
  /** How much of what was in the FIFO may still be there; null where nobody asked. */
  #leftBytes: number | null = null;
  #ended: Promise<void> | null = null;

  /** Throws the system's error when the fd is no pipe; it stays open then. */
  constructor(options: CaptureOptions) {
    const { source, memory, pace, clock, post, onRecords, logDir, files } = options;
    const { service, stream, settings, continues = false, held = null } = source;
    const id: StreamId = { service, stream };
    this.id = id;
    this.#options = options;
    this.#file = new RollingFile({
      logDir,
      id,
      maxFileBytes: settings.max_size_bytes,
      maxAgeMs: settings.max_age_ms,
      mend: (lastRecord, nowMs) => this.#mend(lastRecord, nowMs, continues),
      resumeAt: held?.place ?? null,
      files,
      onRolled: () => this.#sink.noteChange(),
      onFinished: (number) => post({ type: 'file-finished', ...id, number }),
    });
    this.#framer = createFramer(settings.format, { memory, id, maxLineBytes: settings.max_line_bytes });
    const onWritten = (): void => {
      const { settled } = this.#file;
      if (settled) onRecords(id, settled);
    };
    this.#sink = new RecordSink({
      memory,
      writer: new RecordWriter({ file: this.#file, clock, pace, onWritten }),
      framer: this.#framer,
      clock,
      onFull: settings.on_full,
      onHold: () => this.#pause(),
      onReady: () => this.#resume(),
      onStalled: (error) => post({ type: 'stalled', ...id, error: errorText(error), code: errorCode(error) ?? null }),
      onRecovered: () => post({ type: 'recovered', ...id }),
      onDropped: (dropped) => post({ type: 'dropped', ...id, ...dropped }),
      onHeld: () => (this.#sink.isDone ? post({ type: 'held', ...id, held: null }) : this.#tellHeld()),
      onElsewhere: () => this.#leaveRecord(),
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
    if (held) this.#resumeHeld(held);
    else this.#sink.open();
  }

  /** End of the last whole record in the files; null while they cannot be opened. */
  get settled(): Position | null {
    return this.#file.settled;
  }

  /** Looks for `marker` from the next byte on, see `markerBytes`; null stands for the end of what is in the FIFO now. */
  expectMarker(marker: Buffer | null): void {
    // The start of it may have come before the thread died that was told first.
    if (marker && this.#marker?.equals(marker)) return;
    this.#release();
    this.#marker = marker;
    if (marker) return;
    this.#leftBytes = MAX_PIPE_BYTES;
    this.#catchUp();
  }

  /** The thread dies: nothing is read any more, and what was read and is not in the file is told. */
  handOver(): void {
    this.#socket.pause();
    if (!this.#sink.isDone || this.#held > 0 || !this.#framer.isBetweenLines) this.#tellHeld();
  }

  /**
   * Ends the stream behind what its FIFO holds now, as its end of file would. While the disk is full that has to wait,
   * as ever.
   */
  cut(): void {
    if (this.#restBytes !== null || this.#socket.destroyed) return;
    this.#restBytes = MAX_PIPE_BYTES;
    this.#socket.pause();
    this.#readRest();
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
    const { lostBytes, isStuck } = await this.#sink.finish();
    if (isStuck) this.#file.abandon();
    await this.#end();
    return lostBytes;
  }

  #pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resume(): void {
    this.#isPaused = false;
    this.#catchUp();
    if (this.#restBytes === null) this.#socket.resume();
    else this.#readRest();
  }

  /** Reads what is there, ahead of the socket, and tells when it is in the file. */
  #catchUp(): void {
    while (this.#leftBytes !== null && !this.#isPaused && !this.#socket.destroyed) {
      const length = this.#leftBytes === 0 ? null : readNow(this.#options.source.fd, this.#options.memory.input);
      if (length) {
        this.#leftBytes = Math.max(0, this.#leftBytes - length);
        this.#take(length);
        continue;
      }
      // At the end of file the socket ends the stream, which says the same.
      this.#leftBytes = null;
      this.#sink.afterWrites('marker-seen', this.#tellMarker);
    }
  }

  /** Reads on by itself: the socket does not tell when the FIFO is empty. */
  #readRest(): void {
    const { source, memory, post } = this.#options;
    while (!this.#isPaused && !this.#socket.destroyed) {
      const length = this.#restBytes === 0 ? null : readNow(source.fd, memory.input);
      if (length === null) post({ type: 'stream-held', ...this.id });
      if (length === null || length === 0) {
        this.#socket.destroy();
        return;
      }
      this.#restBytes = Math.max(0, this.#restBytes! - length);
      this.#take(length);
    }
  }

  /** A line that a crash cut off is one record more where the stream goes on, and one record less where it is new. */
  #mend(lastRecord: Buffer, nowMs: number, continues: boolean): Buffer {
    const mend = repairTail(lastRecord, { id: this.id, continues, nowMs });
    // A worker that had opened a file has framed what it handed over.
    const isFramed = this.#options.source.held?.place != null;
    if (continues && mend.length > 0 && !isFramed) this.#framer.continueLine();
    return mend;
  }

  readonly #tellMarker = (): void => this.#options.post({ type: 'marker-seen', ...this.id });

  #tellHeld(): void {
    const withheld = new Uint8Array(this.#marker?.subarray(0, this.#held) ?? []);
    const steps = this.#sink.hold();
    const held = { place: this.#file.place, steps, framer: this.#framer.save(), withheld };
    this.#options.post({ type: 'held', ...this.id, held });
  }

  /** Goes on where a worker that died left off. */
  #resumeHeld({ steps, framer, withheld }: HeldOutput): void {
    this.#framer.restore(framer);
    const { marker } = this.#options.source;
    const isAwaited = marker?.startsWith(Buffer.from(withheld).toString('latin1')) ?? false;
    // What turned out to be no start of a marker belongs to the line.
    const rest: HeldStep[] = isAwaited || withheld.length === 0 ? [] : [{ type: 'raw', bytes: withheld }];
    if (isAwaited) this.#held = withheld.length;
    if (isAwaited) this.#marker = Buffer.from(marker!);
    this.#sink.resume(takeSteps([...steps, ...rest], this.#tellMarker));
  }

  /** The file in which a record was begun is gone. */
  #leaveRecord(): void {
    if (this.#framer.isInRecord) this.#framer.continueLine();
  }

  #take(length: number): boolean {
    this.#bytes += length;
    if (this.#marker) this.#takeMarked(length, this.#marker);
    else this.#sink.write(INPUT_START, INPUT_START + length);
    return true;
  }

  #takeMarked(length: number, marker: Buffer): void {
    const { memory } = this.#options;
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
    this.#sink.afterWrites('marker-seen', this.#tellMarker);
    this.#sink.write(from + at + marker.length, to);
  }

  #release(): void {
    if (this.#marker && this.#held > 0) this.#sink.writeBytes(this.#marker.subarray(0, this.#held));
    this.#held = 0;
  }

  #finish(): void {
    this.#release();
    this.#sink.endLine();
    this.#sink.afterWrites('end', () => void this.#end());
  }

  #end(): Promise<void> {
    this.#ended ??= this.#tellEnd();
    return this.#ended;
  }

  async #tellEnd(): Promise<void> {
    await this.#sink.finish();
    this.#file.close();
    this.#options.onEnded();
    this.#options.post({ type: 'stream-ended', ...this.id, bytes: this.#bytes, lines: this.#framer.lines });
  }
}

/** Bytes that are there; 0 at the end of file, and for what cannot be read; null when there are none for now. */
function readNow(fd: number, buffer: Uint8Array): number | null {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? null : 0;
  }
}
