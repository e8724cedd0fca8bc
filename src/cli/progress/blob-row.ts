/** A blob's line while images are pulled. Pure. */
import { formatDuration, formatSize } from '../../lib/units.ts';

const BAR_CHARACTERS = 24;
/** As many hexadecimal digits as Docker shows. */
const SHORT_DIGITS = 12;

/** What a line is made of. */
export interface BlobState {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly doneBytes: number;
  /** `waiting` before its first byte. */
  readonly phase: 'waiting' | 'running' | 'kept' | 'present';
  readonly bytesPerSecond: number | null;
}

/** `2f5e1c0a9b44  ███████          12 MiB of 30 MiB  5 MiB/s  4s left`. */
export function blobRow({ digest, sizeBytes, doneBytes, phase, bytesPerSecond }: BlobState): string {
  const name = shortDigest(digest);
  if (phase === 'present') return `${name}  ${formatSize(sizeBytes)}, is here already`;
  if (phase === 'waiting') return `${name}  ${formatSize(sizeBytes)}, waiting`;
  const share = phase === 'kept' || sizeBytes === 0 ? 1 : doneBytes / sizeBytes;
  const filled = Math.round(Math.min(share, 1) * BAR_CHARACTERS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
  if (phase === 'kept') return `${name}  ${bar}  ${formatSize(sizeBytes)}`;
  const parts = [name, bar, `${formatSize(doneBytes)} of ${formatSize(sizeBytes)}`];
  if (bytesPerSecond !== null) parts.push(`${formatSize(Math.round(bytesPerSecond))}/s`);
  if (bytesPerSecond !== null && bytesPerSecond >= 1) {
    parts.push(`${formatDuration((Math.max(0, sizeBytes - doneBytes) / bytesPerSecond) * 1000)} left`);
  }
  return parts.join('  ');
}

/** The first digits of a digest, for people. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, SHORT_DIGITS);
}
