/**
 * The library: the parts of the daemon, usable without the daemon or the CLI.
 *
 * A {@link Runtime} holds the threads and folders of one home. On it, an {@link Orchestrator} supervises the services
 * of a config, and a {@link Supervisor} a single service.
 */
export { loadConfig, parseConfig } from './config/load.ts';
export { type ConfigProblem, formatProblem } from './config/problems.ts';
export type { Choice } from './config/resolve.ts';
export { Runtime, type RuntimeOptions } from './daemon/daemon.ts';
export { type ErrorCode, MonocoreError } from './lib/errors.ts';
export type { Report } from './lib/report.ts';
export { Orchestrator } from './orchestrator/orchestrator.ts';
export type { CommandReply, ControlEvent, Selection, ServiceOutcome } from './protocol/api.ts';
export type { Isolation } from './protocol/isolation.ts';
export type { Config, Group, Metrics, Port, Service, ServiceStatus, StatusName } from './protocol/service.ts';
export type { SavedState } from './protocol/state.ts';
export { resolveHome } from './state/paths.ts';
export { loadState, saveState } from './state/store.ts';
export type { OrchestratorContext, SupervisorContext } from './supervisor/interfaces.ts';
export type { ServiceDefinition } from './supervisor/status.ts';
export { Supervisor } from './supervisor/supervisor.ts';
