/** A pull and the root that is made of it, against skopeo and umoci: each from an empty folder, the order reversed. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Images } from '../../../src/images/image-jobs.ts';
import { ServiceImages } from '../../../src/images/service-images.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { JobPool } from '../../../src/threads/job-pool.ts';
import { makeImage } from '../../../test/helpers/images/images.ts';
import { packTar } from '../../../test/helpers/images/layers.ts';
import { findTestProgram } from '../../../test/helpers/processes/test-program.ts';
import {
  PASSWORD,
  skopeo,
  startDockerRegistry,
  USERNAME,
  writeLayout,
} from '../../../test/helpers/servers/docker-registry.ts';
import { makeTempDir } from '../../../test/helpers/temp.ts';
import { median, round, timed } from './median.ts';

const LAYERS = 4;
/** Half of each file is text that compresses, half does not: as programs and libraries, roughly. */
const FILE_BYTES = 16_384;

async function makeLayer(layer: number, files: number): Promise<Buffer> {
  const entries = Array.from({ length: files }, (_value, index) => ({
    name: `layer${layer}/${index % 50}/file${index}`,
    content: Buffer.concat([randomBytes(FILE_BYTES / 2), Buffer.alloc(FILE_BYTES / 2, `line ${index}\n`)]),
  }));
  return packTar(entries);
}

/** @param files of the image, in four layers */
export async function measureGetting(lifetime: TestContext, rounds: number, files: number) {
  const registry = await startDockerRegistry(lifetime);
  const dir = await makeTempDir(lifetime);
  const layers = await Promise.all(Array.from({ length: LAYERS }, (_value, layer) => makeLayer(layer, files / LAYERS)));
  await writeLayout(join(dir, 'layout'), makeImage({ layers, config: { Cmd: ['true'] } }), 'app');
  const name = `${registry}/bench/app:1`;
  const credentials = `${USERNAME}:${PASSWORD}`;
  const to = ['--dest-tls-verify=false', '--dest-creds', credentials, `docker://${name}`];
  await skopeo('copy', `oci:${join(dir, 'layout')}:app`, ...to);
  const auth = Buffer.from(credentials).toString('base64');
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { [registry]: { auth } } }));
  process.env.DOCKER_CONFIG = dir;

  const pool = new JobPool();
  lifetime.after(() => pool.close());
  const own = async (home: string) => {
    const paths = new HomePaths(home);
    const images = new ServiceImages(new Images(pool, paths), paths.images);
    images.configure({ ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry] });
    await images.fetch({ name, digest: null, signal: new AbortController().signal, onProgress: () => {} });
  };
  const peer = async (home: string) => {
    const layout = join(home, 'layout');
    mkdirSync(home);
    await skopeo('copy', '--src-tls-verify=false', '--src-creds', credentials, `docker://${name}`, `oci:${layout}:app`);
    const umoci = findTestProgram('umoci');
    await promisify(execFile)(umoci, ['unpack', '--image', `${layout}:app`, join(home, 'bundle')]);
  };

  const times: { own: number; peer: number }[] = [];
  for (let number = 0; number < rounds; number += 1) {
    const time = { own: 0, peer: 0 };
    const both = [
      ['own', own],
      ['peer', peer],
    ] as const;
    for (const [who, get] of number % 2 === 0 ? both : both.toReversed()) {
      const home = join(dir, who);
      time[who] = await timed(() => get(home));
      rmSync(home, { recursive: true });
    }
    times.push(time);
  }
  return {
    ownMs: Math.round(median(times.map((time) => time.own))),
    peerMs: Math.round(median(times.map((time) => time.peer))),
    ratio: round(median(times.map((time) => time.own / time.peer))),
  };
}
