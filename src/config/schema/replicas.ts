/** Services that are alike: `replicas = 3` of `web` are `web-1`, `web-2` and `web-3`. */
import type { ServiceValues } from './config.ts';

/** Names of the services that a declaration stands for: its own, unless it says how many they are. */
export function replicaNames({ name, replicas }: Pick<ServiceValues, 'name' | 'replicas'>): string[] {
  if (replicas === undefined) return [name];
  return Array.from({ length: replicas }, (_, index) => `${name}-${index + 1}`);
}
