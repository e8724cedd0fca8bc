/** Builds images for tests. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RootImageLimits } from '../../../workers/images/limits.ts';
import { buildRootImage } from '../../../workers/images/rootfs/build.ts';
import { makeTempDir } from '../temp.ts';
import { type ErofsFile, readErofs } from './erofs-reader.ts';
import { type LayerEntry, writeLayers } from './layers.ts';

export const LIMITS: RootImageLimits = { maxImageBytes: 64 * 2 ** 20, maxEntries: 10_000 };

/** Builds an image of blobs, and gives its path. */
export async function buildImage(dir: string, layers: readonly string[], limits = LIMITS): Promise<string> {
  const outputPath = join(dir, 'root.erofs');
  await buildRootImage(layers, outputPath, limits);
  return outputPath;
}

/** Builds an image of blobs, and reads it. */
export async function buildAndRead(
  dir: string,
  layers: readonly string[],
  limits = LIMITS,
): Promise<Map<string, ErofsFile>> {
  return readErofs(readFileSync(await buildImage(dir, layers, limits)));
}

/** Lists the tree that the image of the layers shows. */
export async function mergeLayers(
  t: Pick<TestContext, 'after'>,
  ...layers: readonly (readonly LayerEntry[])[]
): Promise<Map<string, ErofsFile>> {
  const dir = await makeTempDir(t);
  return await buildAndRead(dir, await writeLayers(dir, layers));
}

/** Names in a folder that are no layer. */
export function leftIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => !name.startsWith('layer'));
}
