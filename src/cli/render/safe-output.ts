/** Filter that all text passes on its way to a terminal. */
import { maskColoredLines } from '../../lib/control-characters.ts';

/**
 * Wraps a stream so that control characters in text written to a terminal are masked, except colours: whatever a
 * message quotes, it cannot move the cursor, set the title or type for the user. Bytes pass unchanged, as does
 * everything for files and pipes. Progress displays, which move the cursor, mask their rows themselves and write to
 * {@link terminalOf}.
 */
export function safeOutput(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (!stream.isTTY) return stream;
  const write = (chunk: string | Uint8Array, ...rest: []): boolean =>
    stream.write(typeof chunk === 'string' ? maskColoredLines(chunk) : chunk, ...rest);
  const output = new Proxy(stream, {
    get(target, key) {
      if (key === 'write') return write;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  terminals.set(output, stream);
  return output;
}

const terminals = new WeakMap<NodeJS.WriteStream, NodeJS.WriteStream>();

/** Unfiltered terminal behind a stream made by {@link safeOutput}. */
export function terminalOf(output: NodeJS.WriteStream): NodeJS.WriteStream {
  return terminals.get(output) ?? output;
}
