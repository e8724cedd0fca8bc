/** Services as the config loader makes them, with defaults for what a test does not care about. */

import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import { DEFAULT_HOME_LOG_SETTINGS, DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import type { Config, Group, Service } from '../../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS, type Dependency } from '../../../src/protocol/supervision.ts';

/** A service that runs a shell script, in a VM unless told otherwise. */
export function scriptService(name: string, script: string, overrides: Partial<Service> = {}): Service {
  return {
    name,
    replica_of: null,
    group: null,
    isolation: 'vm',
    rootfs: null,
    image: null,
    command: '/bin/sh',
    args: ['-c', script],
    envs: {},
    workdir: '/',
    cpus: 1,
    ram_mib: 128,
    ports: [],
    volumes: [],
    secrets: [],
    depends_on: [],
    stop_timeout_ms: 10_000,
    stop_signal: null,
    restart: DEFAULT_RESTART_SETTINGS,
    healthcheck: null,
    on_unhealthy: 'none',
    disk_mib: null,
    user: null,
    host_user: null,
    open_files: null,
    cpu_shares: null,
    log: DEFAULT_LOG_SETTINGS,
    ...overrides,
  };
}

/** A config of those services. */
export function configOf(services: readonly Service[], groups: readonly Group[] = []): Config {
  return {
    project: null,
    services: [...services],
    unselected: [],
    groups: [...groups],
    kernel: null,
    logs: DEFAULT_HOME_LOG_SETTINGS,
    images: DEFAULT_IMAGE_SETTINGS,
  };
}

/** Dependencies on services that must have been started. */
export function afterStart(...names: readonly string[]): Dependency[] {
  return names.map((service) => ({ service, condition: 'started' }));
}
