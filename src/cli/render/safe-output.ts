/** The way of every text to a terminal. */
import { maskColoredLines } from '../../lib/control-characters.ts';

/**
 * Makes a stream that masks control characters, except colours, in each text that is written to a terminal: whatever a
 * message quotes, it cannot move the cursor, set the title or type for the user. Bytes pass unchanged, as do files and
 * pipes. Progress, which moves the cursor, masks its rows itself and writes to {@link terminalOf}.
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

/** The terminal itself behind a stream of {@link safeOutput}. */
export function terminalOf(output: NodeJS.WriteStream): NodeJS.WriteStream {
  return terminals.get(output) ?? output;
}
