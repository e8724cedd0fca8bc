import type { TestContext } from 'node:test';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import { configOf, scriptService } from '../../../test/helpers/fakes/services.ts';
import { makeBusyboxImage } from '../../../test/helpers/images/program-image.ts';
import { readCpuMs } from '../../../test/helpers/processes/usage.ts';
import { openTestRuntime } from '../../../test/helpers/runtime.ts';
import { startRegistry } from '../../../test/helpers/servers/registry.ts';
import { median, round } from './median.ts';

const SCRIPT = 'trap "exit 0" TERM; while :; do sleep 1; done';
/** As the config has it by default. */
const DISK_MIB = 1024;

interface Start {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Rows of the table: one for each comparison and kind of time. */
export async function measureStarts(lifetime: TestContext, rounds: number) {
  const registry = await startRegistry(lifetime);
  registry.add('app', 'latest', await makeBusyboxImage(['sh', 'sleep'], {}));
  const host = await openTestRuntime();
  lifetime.after(() => host.close());
  const images = { ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry.host] };
  const services = {
    image: scriptService('image', SCRIPT, { image: `${registry.host}/app`, disk_mib: DISK_MIB }),
    builtIn: scriptService('built-in', SCRIPT, { disk_mib: DISK_MIB }),
    noDisk: scriptService('no-disk', SCRIPT),
  };
  type Kind = keyof typeof services;
  const start = async (kind: Kind): Promise<Start> => {
    const service = services[kind];
    const begunAt = performance.now();
    const [outcome] = (await host.orchestrator.start({ ...configOf([service]), images })).services;
    const wallMs = performance.now() - begunAt;
    if (outcome!.outcome !== 'changed') throw new Error(`${service.name}: ${outcome!.error}`);
    const { pid } = host.orchestrator.services().find(({ name }) => name === service.name)!;
    const cpuMs = readCpuMs(pid!);
    await host.orchestrator.stop();
    return { wallMs, cpuMs };
  };
  const kinds = Object.keys(services) as Kind[];
  // The first ones make the initramfs, the disks, the image and its root.
  for (const kind of kinds) await start(kind);
  const starts: Record<Kind, Start>[] = [];
  for (let number = 0; number < rounds; number += 1) {
    const times = {} as Record<Kind, Start>;
    for (const kind of number % 2 === 0 ? kinds : kinds.toReversed()) times[kind] = await start(kind);
    starts.push(times);
  }
  const compare = (peer: Kind, time: keyof Start) => ({
    ownMs: Math.round(median(starts.map(({ image }) => image[time]))),
    peerMs: Math.round(median(starts.map((times) => times[peer][time]))),
    ratio: round(median(starts.map((times) => times.image[time] / times[peer][time]))),
  });
  return [
    { time: '', peer: 'built-in root, default disk', goal: '< 1.05', ...compare('builtIn', 'wallMs') },
    { time: ', CPU of QEMU', peer: 'built-in root, default disk', goal: '', ...compare('builtIn', 'cpuMs') },
    { time: '', peer: 'built-in root, no disk', goal: '', ...compare('noDisk', 'wallMs') },
    { time: ', CPU of QEMU', peer: 'built-in root, no disk', goal: '', ...compare('noDisk', 'cpuMs') },
  ];
}
