/** Callback for messages to people; the daemon writes them, with `data` as fields, to its own log. Main thread. */
export type Report = (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
