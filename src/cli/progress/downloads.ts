/** Progress of `pull` and `images load`. */
import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import type { ImageEvent } from '../../protocol/images.ts';

export interface Downloads {
  handle(event: ImageEvent): void;
  /** Closes the view; resolves when everything has been shown. Later calls do nothing. */
  close(how: 'done' | 'failed'): Promise<void>;
}

/** Progress for files, pipes and CI: one line per event, none for downloaded bytes. */
export function createPlainDownloads(write: (text: string) => void): Downloads {
  return {
    handle(event) {
      const text = eventText(event);
      if (text !== null) write(`${text}\n`);
    },
    close: async () => {},
  };
}

/** Line for an event; null if the event only changes the bars. */
export function eventText(event: ImageEvent): string | null {
  switch (event.type) {
    case 'waiting':
      return 'waiting for another change of the images';
    case 'image':
      return `${event.name}: pulling`;
    case 'blob':
      return `${shortDigest(event.digest)}: ${formatSize(event.size_bytes)}${event.present ? ', already present' : ''}`;
    case 'kept':
      return `${shortDigest(event.digest)}: done`;
    case 'retry': {
      const what = event.what.startsWith('sha256:') ? shortDigest(event.what) : event.what;
      const wait = event.delay_ms < 1000 ? '' : ` in ${formatDuration(event.delay_ms)}`;
      return maskControls(`${what}: ${event.reason}; trying again${wait}`);
    }
    case 'notice':
      return maskControls(event.text);
    case 'stored':
      return `${event.image.name}: ${event.image.unchanged ? 'is up to date' : 'stored'}, ${event.image.digest}`;
    case 'bytes':
      return null;
  }
}

const BAR_CHARACTERS = 24;
/** Hexadecimal digits of a digest, as many as Docker shows. */
const SHORT_DIGITS = 12;

/** Layer of an image that is being pulled. */
export interface BlobState {
  readonly digest: string;
  readonly sizeBytes: number;
  doneBytes: number;
  /** `waiting` before its first byte. */
  phase: 'waiting' | 'running' | 'kept' | 'present';
  bytesPerSecond: number | null;
}

/** `2f5e1c0a9b44  ███████          12 MiB of 30 MiB  5 MiB/s  4s left`. */
export function blobRow({ digest, sizeBytes, doneBytes, phase, bytesPerSecond }: BlobState): string {
  const name = shortDigest(digest);
  if (phase === 'present') return `${name}  ${formatSize(sizeBytes)}, already present`;
  if (phase === 'waiting') return `${name}  ${formatSize(sizeBytes)}, waiting`;
  const share = phase === 'kept' || sizeBytes === 0 ? 1 : doneBytes / sizeBytes;
  const filled = Math.round(Math.min(share, 1) * BAR_CHARACTERS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
  if (phase === 'kept') return `${name}  ${bar}  ${formatSize(sizeBytes)}`;
  const row = `${name}  ${bar}  ${formatSize(doneBytes)} of ${formatSize(sizeBytes)}`;
  if (bytesPerSecond === null) return row;
  const rate = `${formatSize(Math.round(bytesPerSecond))}/s`;
  if (bytesPerSecond < 1) return `${row}  ${rate}`;
  const leftMs = (Math.max(0, sizeBytes - doneBytes) / bytesPerSecond) * 1000;
  return `${row}  ${rate}  ${formatDuration(leftMs)} left`;
}

export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, SHORT_DIGITS);
}

/** Window over which the rate is averaged: long enough to be readable, short enough to show a stall. */
const WINDOW_MS = 3000;

/** Bytes per second of a download, as an exponential moving average. Time is passed in, in milliseconds. */
export class RateMeter {
  #lastMs: number | null = null;
  #lastBytes = 0;
  /** Null before the second reading. */
  bytesPerSecond: number | null = null;

  /** Takes a reading. The first reading, and one below its predecessor, restart the measurement. */
  update(doneBytes: number, nowMs: number): void {
    if (this.#lastMs === null || doneBytes < this.#lastBytes) {
      this.bytesPerSecond = null;
    } else {
      const elapsedMs = nowMs - this.#lastMs;
      if (elapsedMs <= 0) return;
      const current = ((doneBytes - this.#lastBytes) * 1000) / elapsedMs;
      const weight = 1 - Math.exp(-elapsedMs / WINDOW_MS);
      const before = this.bytesPerSecond ?? current;
      this.bytesPerSecond = before + (current - before) * weight;
    }
    this.#lastMs = nowMs;
    this.#lastBytes = doneBytes;
  }
}
