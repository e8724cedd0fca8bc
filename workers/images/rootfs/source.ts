/** What a root file system is made of, and what comes of it. */

/**
 * Media types of layers: OCI image spec, layer.md, and Docker's image manifest v2 schema 2. What they say about
 * compression is not used, because tools are known to say gzip for archives that are not compressed; the first bytes
 * decide.
 */
export const LAYER_MEDIA_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;

/** A layer of an image, as it was pulled. */
export interface LayerBlob {
  /** Absolute path. Its digest was verified. */
  readonly path: string;
  /** As the manifest says, see {@link LAYER_MEDIA_TYPE}. */
  readonly mediaType: string;
}

/** What the layers of an image may ask for. Passing one is an `ImageInvalid` with its name in `details.limit`. */
export interface RootImageLimits {
  /** Most bytes on the disk while it is built, and so of the image; hidden contents of lower layers count. */
  readonly maxImageBytes: number;
  /** Most entries of all layers, whiteouts and directories that only paths name included. */
  readonly maxEntries: number;
}

/** By default. A million files were measured to take 430 MB of memory while an image is built, the process included. */
export const DEFAULT_MAX_ENTRIES = 2_000_000;

/** One read-only EROFS image to be built. One at a time may have the same output. */
export interface RootImageSource {
  /** The lowest first. */
  readonly layers: readonly LayerBlob[];
  /**
   * Absolute path; replaced in one step when the image is whole. Until then `<path>.tmp` and `<path>.tails.tmp` are
   * there, and after a process that was cut off, until the next one.
   */
  readonly outputPath: string;
  readonly limits: RootImageLimits;
}

/** Result of a build. */
export interface RootImage {
  readonly sizeBytes: number;
  readonly inodes: number;
}
