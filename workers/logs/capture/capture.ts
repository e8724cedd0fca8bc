/** Captures one stream of one VM: reads its pipe, looks for its marker, writes its files and reports events. */

import type { Clock } from '../../../src/lib/clock.ts';
import { repairTail } from '../../../src/protocol/log-files/formats.ts';
import type { Position, StreamId } from '../../../src/protocol/log-files/names.ts';
import type { LevelName, RecordOrigin } from '../../../src/protocol/log-files/record.ts';
import type { HeldItem, HeldOutput, LogEvent, StreamSource } from '../../../src/protocol/logs.ts';
import { type FrameMemory, type Framer, INPUT_START } from '../format/framer.ts';
import { createFramer } from '../format/framers.ts';
import type { BusyPipes } from './busy-pipes.ts';
import type { Disk } from './disk.ts';
import { searchMarker } from './end-marker.ts';
import { PartialLine } from './partial-line.ts';
import { PipeReader } from './pipe-reader.ts';
import { RollingFile } from './rolling-file.ts';
import { StreamWriter, type WriterEvent, type WriterEvents } from './stream-writer.ts';

/** Stream to capture, parts shared by all captures of a thread, and receivers of events. */
interface CaptureOptions {
  readonly source: StreamSource;
  readonly logDir: string;
  readonly memory: FrameMemory;
  readonly busyPipes: BusyPipes;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly post: (event: LogEvent) => void;
  /** Called when the files have more records, up to `settled`. */
  readonly onRecords: (id: StreamId, settled: Position) => void;
  /** Called once when the stream and its file are closed, before `stream-ended` is posted. */
  readonly onEnded: () => void;
}

/**
 * Reads a pipe to its end. The pipe is the only buffer between the VM and the disk: while writing fails, the pipe is
 * not read, and the VM waits.
 */
export class Capture implements WriterEvents {
  readonly id: StreamId;
  readonly #options: CaptureOptions;
  readonly #pipe: PipeReader;
  readonly #file: RollingFile;
  readonly #origin: RecordOrigin;
  readonly #framer: Framer;
  readonly #writer: StreamWriter;
  /** Null if nobody wants it. */
  readonly #partialLine: PartialLine | null;
  #bytes = 0;
  #marker: Buffer | null = null;
  /**
   * Number of bytes at the end of the last chunk that may be the start of the marker; the writer does not have them
   * yet.
   */
  #withheld = 0;
  #isCut = false;
  #isGivenUp = false;
  #isOpen = false;
  /**
   * Delays events until a chunk has been processed completely, so that a thread that is killed in between has reported
   * none of them.
   */
  #isTaking = false;
  #isHeldDue = false;
  readonly #events: LogEvent[] = [];
  #ended: Promise<void> | null = null;

  /** Starts the capture. Throws the system error if the descriptor is not a pipe; it then stays open. */
  constructor(options: CaptureOptions) {
    const { source, logDir, memory, busyPipes, disk, clock, post } = options;
    const { service, stream, fd, settings, held = null } = source;
    const id: StreamId = { service, stream };
    this.id = id;
    const level = stream === 'stderr' ? (settings.stderr_level.toUpperCase() as LevelName) : undefined;
    this.#origin = { ...id, level };
    this.#options = options;
    this.#file = new RollingFile({
      logDir,
      id,
      disk,
      maxFileBytes: settings.max_size_bytes,
      maxAgeMs: settings.max_age_ms,
      repair: (lastRecord, nowMs) => this.#repair(lastRecord, nowMs),
      resumeAt: held?.place ?? null,
      onRolled: () => this.#writer.noteChange(),
      onFinished: (number) => post({ type: 'file-finished', ...id, number }),
    });
    this.#partialLine = source.tellsPartialLines
      ? new PartialLine(clock, (text) => post({ type: 'partial-line', ...id, text }))
      : null;
    const framer = createFramer(settings.format, { memory, id: this.#origin, maxLineBytes: settings.max_line_bytes });
    this.#framer = framer;
    const onFull = settings.on_full;
    this.#writer = new StreamWriter({ memory, framer, file: this.#file, disk, clock, onFull, events: this });
    this.#pipe = new PipeReader({
      fd,
      buffer: memory.input,
      busyPipes,
      onBytes: (length) => this.#take(length),
      onClosed: () => this.#finish(),
    });
    this.#writer.open(held && this.#restore(held));
  }

  /** End of the last complete record in the files; null while they cannot be opened. */
  get settled(): Position | null {
    return this.#file.settled;
  }

  /**
   * Looks for `marker` from the next byte on, see `markerBytes`; null stands for the end of the current content of the
   * pipe.
   */
  expectMarker(marker: Buffer | null): void {
    // The previous thread may have read the start of the marker before it died.
    if (marker && this.#marker?.equals(marker)) return;
    this.#release();
    this.#marker = marker;
    if (!marker) this.#pipe.drain(() => this.#writer.mark());
  }

  /** Called when the thread is dying: stops reading and posts everything that was read but is not in the file. */
  handOver(): void {
    this.#pipe.pause();
    if (!this.#writer.isDone || this.#withheld > 0 || !this.#framer.isBetweenLines) this.#tellHeld();
  }

  /** Ends the stream after the current content of its pipe, as at end of file. A full disk delays that. */
  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#pipe.drain((isHeldOpen) => {
      if (isHeldOpen) this.#options.post({ type: 'stream-held', ...this.id });
      void this.#pipe.close();
    });
  }

  /** Ends the stream now and loses everything that cannot be written. */
  async giveUp(): Promise<void> {
    if (this.#isGivenUp) return;
    this.#isGivenUp = true;
    // There may be room since the last try; then nothing is lost.
    this.#writer.retry();
    this.cut();
    const unreadBytes = this.#pipe.discard();
    const bytes = unreadBytes + (await this.#closeAll());
    if (bytes > 0) this.#options.post({ type: 'lost', ...this.id, bytes });
    await this.#end();
  }

  /**
   * Ends the capture now. The content of the pipe stays there for the next reader, if the VM holds the pipe open.
   *
   * @returns the number of bytes that were read but could not be written
   */
  async close(): Promise<number> {
    const lostBytes = await this.#closeAll();
    await this.#end();
    return lostBytes;
  }

  async #closeAll(): Promise<number> {
    await this.#pipe.close();
    const { lostBytes } = await this.#writer.finish();
    return lostBytes;
  }

  post(event: WriterEvent): void {
    if (this.#isTaking) this.#events.push({ ...event, ...this.id });
    else this.#options.post({ ...event, ...this.id });
  }

  onBusy(): void {
    this.#pipe.pause();
  }

  onReady(): void {
    this.#pipe.resume();
  }

  onWritten(): void {
    const { settled } = this.#file;
    if (settled && !this.#isOpen) this.#options.post({ type: 'opened', ...this.id, at: settled });
    this.#isOpen ||= settled !== null;
    if (settled) this.#options.onRecords(this.id, settled);
  }

  onHeld(): void {
    this.#isHeldDue = this.#isTaking;
    if (this.#isTaking) return;
    if (this.#writer.isDone) this.#options.post({ type: 'held', ...this.id, held: null });
    else this.#tellHeld();
  }

  onEnd(): void {
    void this.#end();
  }

  /**
   * Repairs the last record. A line cut off by a crash counts as continued if the stream goes on, and as ended if the
   * stream is new.
   */
  #repair(lastRecord: Buffer, nowMs: number): Buffer {
    const { continues = false, held } = this.#options.source;
    const repair = repairTail(lastRecord, { id: this.#origin, continues, nowMs });
    // If the previous thread had opened a file, its queue already contains records.
    if (continues && repair.length > 0 && !held?.place) this.#framer.continueLine();
    return repair;
  }

  #tellHeld(): void {
    const withheld = new Uint8Array(this.#marker?.subarray(0, this.#withheld) ?? []);
    const held = { place: this.#file.place, items: this.#writer.hold(), framer: this.#framer.save(), withheld };
    this.#options.post({ type: 'held', ...this.id, held });
  }

  /** Restores the state of the previous thread; returns its queue. */
  #restore({ items, framer, withheld }: HeldOutput): readonly HeldItem[] {
    this.#framer.restore(framer);
    if (framer.type === 'buffering' && framer.line) this.#partialLine?.take(Buffer.from(framer.line));
    if (withheld.length === 0) return items;
    const { marker } = this.#options.source;
    // If the marker is no longer expected, its start belongs to the line.
    if (!marker?.startsWith(Buffer.from(withheld).toString('latin1')))
      return [...items, { type: 'raw', bytes: withheld }];
    this.#withheld = withheld.length;
    this.#marker = Buffer.from(marker);
    return items;
  }

  #take(length: number): void {
    this.#bytes += length;
    this.#partialLine?.take(this.#options.memory.input.subarray(0, length));
    this.#isTaking = true;
    if (this.#marker) this.#takeMarked(length, this.#marker);
    else this.#writer.write(INPUT_START, INPUT_START + length);
    this.#isTaking = false;
    if (this.#isHeldDue) this.onHeld();
    while (this.#events.length > 0) this.#options.post(this.#events.shift()!);
  }

  #takeMarked(length: number, marker: Buffer): void {
    const { memory } = this.#options;
    const from = INPUT_START - this.#withheld;
    const to = INPUT_START + length;
    memory.bytes.set(marker.subarray(0, this.#withheld), from);
    const { at, held } = searchMarker(memory.bytes.subarray(from, to), marker);
    this.#withheld = held;
    if (at === -1) {
      this.#writer.write(from, to - held);
      return;
    }
    this.#marker = null;
    this.#bytes -= marker.length;
    // The bytes after the marker are in the memory, which the writer may use in the meantime.
    const rest = Buffer.from(memory.bytes.subarray(from + at + marker.length, to));
    this.#writer.write(from, from + at);
    this.#writer.endLine();
    this.#writer.mark();
    if (rest.length > 0) this.#writer.writeBytes(rest);
  }

  #release(): void {
    if (this.#marker && this.#withheld > 0) this.#writer.writeBytes(this.#marker.subarray(0, this.#withheld));
    this.#withheld = 0;
  }

  #finish(): void {
    this.#release();
    this.#writer.endLine();
    this.#writer.end();
  }

  #end(): Promise<void> {
    this.#ended ??= this.#tellEnd();
    return this.#ended;
  }

  async #tellEnd(): Promise<void> {
    this.#partialLine?.close();
    const { isStuck } = await this.#writer.finish();
    if (isStuck) this.#file.abandon();
    else this.#file.close();
    this.#options.onEnded();
    this.#options.post({ type: 'stream-ended', ...this.id, bytes: this.#bytes, lines: this.#framer.lines });
  }
}
