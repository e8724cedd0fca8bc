/**
 * Callback for messages to people; the daemon writes them to its own log. Main thread.
 *
 * @param data fields of the log record besides the message
 */
export type Report = (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => void;
