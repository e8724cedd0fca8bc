/** Files that nobody needs after everything has ended: there must be none. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { linkName, parseFileName, STREAM_NAMES } from '../../src/protocol/log-files/names.ts';
import type { HomePaths } from '../../src/state/paths.ts';

const DAEMON_LOG = /^monocore\.\d+\.log$/;
const HOME_ENTRIES = new Set(['run', 'ended', 'log', 'cache', 'kernel', 'disk', 'lock', 'settings.json']);

/** Paths below the home that must not be there any more. */
export function findStaleFiles(paths: HomePaths, services: readonly string[], asideDirs: readonly string[]): string[] {
  const ended = new Set(services.map((service) => `${service}.json`));
  const disks = new Set(services.map((service) => `${service}.img`));
  const links = new Set(services.flatMap((service) => STREAM_NAMES.map((stream) => linkName({ service, stream }))));
  const isFinished = (name: string) => (parseFileName(name)?.form ?? 'unfinished') !== 'unfinished';
  const isLog = (name: string) =>
    links.has(name) ||
    DAEMON_LOG.test(name) ||
    (isFinished(name) && services.includes(parseFileName(name)?.service ?? ''));
  return [
    ...listOthers(paths.home, (name) => HOME_ENTRIES.has(name)),
    ...listOthers(paths.runDir, () => false),
    ...listOthers(paths.endedDir, (name) => ended.has(name)),
    ...listOthers(paths.logDir, isLog),
    ...listOthers(paths.diskDir, (name) => disks.has(name)),
    ...listOthers(paths.cacheDir, (name) => name === 'initramfs' || name === 'accelerator.json'),
    ...listOthers(paths.initramfsDir, (name) => name.endsWith('.cpio')),
    // What was being compressed when its folder went away cannot be gone on with.
    ...asideDirs.flatMap((dir) => listOthers(dir, (name) => isFinished(name) || isLogName(name))),
  ];
}

/** A link, one that was being swapped, or a file that was being compressed. */
function isLogName(name: string): boolean {
  return ['.log', '.link', '.tmp'].some((end) => name.endsWith(end));
}

function listOthers(dir: string, isKnown: (name: string) => boolean): string[] {
  if (!existsSync(dir)) return [];
  const others = readdirSync(dir).filter((name) => !isKnown(name));
  return others.map((name) => join(dir, name));
}
