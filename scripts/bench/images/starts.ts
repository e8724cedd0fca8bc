/** A start from an image that is there against one of the built-in root, both with a layer in memory, in turns. */
import type { TestContext } from 'node:test';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/image-settings.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { makeBusyboxImage } from '../../../test/helpers/program-image.ts';
import { startRegistry } from '../../../test/helpers/registry.ts';
import { openTestRuntime } from '../../../test/helpers/runtime.ts';
import { configOf, scriptService } from '../../../test/helpers/services.ts';
import { median, round, timed } from './median.ts';

const SCRIPT = 'trap "exit 0" TERM; while :; do sleep 1; done';

export async function measureStarts(lifetime: TestContext, rounds: number) {
  const registry = await startRegistry(lifetime);
  registry.add('app', 'latest', await makeBusyboxImage(['sh', 'sleep'], {}));
  const host = await openTestRuntime();
  lifetime.after(() => host.close());
  const images = { ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry.host] };
  const services = {
    own: scriptService('image', SCRIPT, { base: `${registry.host}/app` }),
    builtIn: scriptService('built-in', SCRIPT),
  };
  const start = async (service: Service) => {
    const ms = await timed(async () => {
      const [outcome] = (await host.orchestrator.start({ ...configOf([service]), images })).services;
      if (outcome!.outcome !== 'changed') throw new Error(`${service.name}: ${outcome!.error}`);
    });
    await host.orchestrator.stop();
    return ms;
  };
  // The first ones make the initramfs, the image and its root.
  for (const service of Object.values(services)) await start(service);
  const times: { own: number; builtIn: number }[] = [];
  for (let number = 0; number < rounds; number += 1) {
    const time = { own: 0, builtIn: 0 };
    const both = ['own', 'builtIn'] as const;
    for (const which of number % 2 === 0 ? both : both.toReversed()) time[which] = await start(services[which]);
    times.push(time);
  }
  return {
    ownMs: Math.round(median(times.map((time) => time.own))),
    builtInMs: Math.round(median(times.map((time) => time.builtIn))),
    ratio: round(median(times.map((time) => time.own / time.builtIn))),
  };
}
