/** The services of a load: each prints numbered lines at an even pace, then waits to be stopped. */

import * as v from 'valibot';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import { type Config, type Service, ServiceSchema } from '../../src/protocol/service.ts';
import type { LoadOptions } from './options.ts';

/** Shell of the guests' busybox and of the host: a batch a second, so that the shell itself costs little. */
const SCRIPT = `
  n=0 per=$(( (LINES_TO_PRINT + SECONDS_TO_PRINT - 1) / SECONDS_TO_PRINT ))
  while [ $n -lt "$LINES_TO_PRINT" ]; do
    i=0
    while [ $i -lt $per ] && [ $n -lt "$LINES_TO_PRINT" ]; do
      echo "line $n of a service under load"
      n=$((n + 1)) i=$((i + 1))
    done
    sleep 1
  done
  exec sleep 1000000`;

/** The number in a line of the workload; null for any other line. */
export function lineNumber(text: string): number | null {
  const match = /line (\d+) of a service under load$/.exec(text);
  return match ? Number(match[1]) : null;
}

/** Names of the services. */
export function serviceNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `load-${String(index + 1).padStart(3, '0')}`);
}

/** A service that keeps nothing from run to run. */
export function loadService(name: string, { isolation, lines, seconds }: LoadOptions): Service {
  return v.parse(ServiceSchema, {
    name,
    group: null,
    isolation,
    rootfs: null,
    command: '/bin/sh',
    args: ['-c', SCRIPT],
    envs: { LINES_TO_PRINT: String(lines), SECONDS_TO_PRINT: String(seconds) },
    workdir: '/',
    cpus: 1,
    ram_mib: 128,
    ports: [],
    depends_on: [],
    stop_timeout_ms: 10_000,
    log: { ...DEFAULT_LOG_SETTINGS, keep_total_bytes: null },
  });
}

/** Config with all services. */
export function loadConfig(count: number, options: LoadOptions): Config {
  const services = serviceNames(count).map((name) => loadService(name, options));
  return {
    project: null,
    services,
    unselected: [],
    groups: [],
    kernel: null,
    logs: { keep_total_bytes: null },
    images: { insecure_registries: [], max_image_size_bytes: 0 },
  };
}
