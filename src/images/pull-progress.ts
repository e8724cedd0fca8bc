/** How far a pull is, in a few words. */
import type { ImageEvent } from '../protocol/images.ts';

/** Takes the events of one image's pull; each answer is what there is to tell, or null where it is as before. */
export class PullProgress {
  readonly #blobs = new Map<string, { readonly sizeBytes: number; doneBytes: number }>();
  #told: string | null = null;

  /** `pulling 40 %`, `waiting for another monocore …`: the service's `detail`. */
  take(event: ImageEvent): string | null {
    const text = this.#describe(event);
    if (text === null || text === this.#told) return null;
    this.#told = text;
    return text;
  }

  #describe(event: ImageEvent): string | null {
    switch (event.type) {
      case 'waiting':
        return 'waiting for other changes of the images';
      case 'blob':
        this.#blobs.set(event.digest, {
          sizeBytes: event.sizeBytes,
          doneBytes: event.present ? event.sizeBytes : 0,
        });
        return this.#share();
      case 'bytes':
        return this.#set(event.digest, event.doneBytes);
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
