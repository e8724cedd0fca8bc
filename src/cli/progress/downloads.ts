/** How `pull` and `images load` show what happens. */

import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import type { ImageEvent } from '../../protocol/images.ts';
import { shortDigest } from './blob-row.ts';

/** A view of a running job. */
export interface Downloads {
  handle(event: ImageEvent): void;
  /** The job has ended, in whatever way. */
  close(): void;
}

/** For files, pipes and CI: a line for each thing that happens, none for bytes. */
export function createPlainDownloads(write: (text: string) => void): Downloads {
  return {
    handle(event) {
      const text = eventText(event);
      if (text !== null) write(`${text}\n`);
    },
    close() {},
  };
}

/** One line about an event, or null where there is nothing to say. */
export function eventText(event: ImageEvent): string | null {
  switch (event.type) {
    case 'waiting':
      return 'waiting for another monocore that changes the images';
    case 'image':
      return `${event.name}: pulling`;
    case 'blob':
      return `${shortDigest(event.digest)}: ${formatSize(event.sizeBytes)}${event.present ? ', is here already' : ''}`;
    case 'kept':
      return `${shortDigest(event.digest)}: done`;
    case 'retry': {
      const what = event.what.startsWith('sha256:') ? shortDigest(event.what) : event.what;
      const wait = event.delayMs < 1000 ? '' : ` in ${formatDuration(event.delayMs)}`;
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
