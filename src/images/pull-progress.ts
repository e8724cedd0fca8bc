/** Progress of a pull in a few words. */
import type { ImageEvent } from '../protocol/images.ts';

/** Turns the events of one image's pull into texts. */
export class PullProgress {
  readonly #blobs = new Map<string, { readonly sizeBytes: number; doneBytes: number }>();
  #last: string | null = null;

  /** The service's new `detail`, `pulling 40 %` for example; null when it stays the same. */
  take(event: ImageEvent): string | null {
    const text = this.#describe(event);
    if (text === null || text === this.#last) return null;
    this.#last = text;
    return text;
  }

  #describe(event: ImageEvent): string | null {
    switch (event.type) {
      case 'waiting':
        return 'waiting for another change of the images';
      case 'blob':
        this.#blobs.set(event.digest, {
          sizeBytes: event.size_bytes,
          doneBytes: event.present ? event.size_bytes : 0,
        });
        return this.#share();
      case 'bytes':
        return this.#set(event.digest, event.done_bytes);
      case 'kept':
        return this.#set(event.digest, Number.POSITIVE_INFINITY);
      case 'retry':
        return `${this.#share()}, trying again: ${event.reason}`;
      case 'image':
        return 'pulling';
      default:
        return null;
    }
  }

  #set(digest: string, doneBytes: number): string {
    const blob = this.#blobs.get(digest);
    if (blob) blob.doneBytes = Math.min(doneBytes, blob.sizeBytes);
    return this.#share();
  }

  #share(): string {
    let doneBytes = 0;
    let sizeBytes = 0;
    for (const blob of this.#blobs.values()) {
      doneBytes += blob.doneBytes;
      sizeBytes += blob.sizeBytes;
    }
    return sizeBytes === 0 ? 'pulling' : `pulling ${Math.floor((100 * doneBytes) / sizeBytes)} %`;
  }
}
