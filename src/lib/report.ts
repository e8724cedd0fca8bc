/**
 * Callback for messages to people. The daemon writes them to its own log, with the properties of `data` as fields. Main
 * thread.
 */
export type Report = (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
