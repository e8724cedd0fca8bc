/** The data that a removal deletes. */
import { readdirSync, statSync } from 'node:fs';
import { formatSize } from '../../lib/units.ts';
import { parseFileName } from '../../protocol/log-files/names.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import type { HomePaths } from '../../state/paths.ts';
import { padderOf } from './terminal-text.ts';

/** Bytes that a file occupies on disk; null if it does not exist. */
function sizeOnDisk(path: string): number | null {
  const stats = statSync(path, { throwIfNoEntry: false });
  // st_blocks counts units of 512 bytes, see stat(2); disk images are sparse.
  return stats ? stats.blocks * 512 : null;
}

/** A line per service: `web of project shop  logs 1.2 MiB, disk 34 MiB, running`. */
export function describeData(paths: HomePaths, services: readonly ServiceStatus[]): string {
  const logBytes = new Map<string, number>();
  for (const file of listNames(paths.logDir)) {
    // The link to the current file occupies no bytes of its own.
    const service = parseFileName(file)?.service;
    if (service === undefined) continue;
    logBytes.set(service, (logBytes.get(service) ?? 0) + (sizeOnDisk(`${paths.logDir}/${file}`) ?? 0));
  }
  const labels = services.map(({ name, project }) => (project ? `${name} of project ${project.name}` : name));
  const pad = padderOf(labels);
  const lines = services.map(({ name, pid }, index) => {
    const disk = sizeOnDisk(paths.disk(name));
    const data = [
      `logs ${formatSize(logBytes.get(name) ?? 0)}`,
      ...(disk === null ? [] : [`disk ${formatSize(disk)}`]),
    ];
    return `  ${pad(labels[index]!)}  ${data.join(', ')}${pid === null ? '' : ', running'}\n`;
  });
  return lines.join('');
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
