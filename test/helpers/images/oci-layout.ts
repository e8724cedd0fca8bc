/** An OCI image layout with one image, for other programs: OCI image spec, image-layout.md, manifest.md, config.md. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const TAR = 'application/vnd.oci.image.layer.v1.tar';

/** Writes the layout of layers, plain or with gzip, into the folder `dir`, which is made; the tag is `latest`. */
export function writeOciLayout(dir: string, layers: readonly string[]): void {
  mkdirSync(join(dir, 'blobs', 'sha256'), { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const hash = sha256(bytes);
    writeFileSync(join(dir, 'blobs', 'sha256', hash), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  const putJson = (mediaType: string, value: unknown) => put(mediaType, Buffer.from(JSON.stringify(value)));
  const blobs = layers.map((path) => readFileSync(path));
  const isGzip = (bytes: Buffer) => bytes.readUInt16BE() === 0x1f8b;
  const archives = blobs.map((bytes) => (isGzip(bytes) ? gunzipSync(bytes) : bytes));
  const config = putJson('application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: archives.map((archive) => `sha256:${sha256(archive)}`) },
  });
  const manifest = putJson('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: blobs.map((bytes) => put(isGzip(bytes) ? `${TAR}+gzip` : TAR, bytes)),
  });
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  writeFileSync(
    join(dir, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  writeFileSync(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
