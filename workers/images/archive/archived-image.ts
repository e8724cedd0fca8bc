/** An image of an archive, ready to be moved into the store. */
import type { ImageManifest } from '../manifest.ts';
import type { ArchiveFile } from './unpacking.ts';

/** Its files are verified: each is what the digest under which it is listed says. */
export interface ArchivedImage {
  /** Names in the archive, as they are there. */
  readonly names: readonly string[];
  /** The manifest's bytes: of the archive, or made for it. */
  readonly bytes: Buffer;
  readonly manifest: ImageManifest;
  /** By digest; the manifest is not among them. */
  readonly blobs: ReadonlyMap<string, ArchiveFile>;
}
