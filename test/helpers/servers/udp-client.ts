/** A program of the host that talks to UDP ports. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { eventually } from '../eventually.ts';

/** A client that has sent a datagram, with its answers. */
interface UdpClient {
  /** `<address>:<port> <text>` of each answer, in order. */
  readonly answers: readonly string[];
  send(text: string | Buffer, port: number, address: string): void;
  /** Sends a text again and again, until one answer more has come that ends with it; returns that. */
  ask(text: string, port: number, address: string): Promise<string>;
}

/** Opens a socket of its own, closed with the test. */
export async function openUdpClient(t: TestContext): Promise<UdpClient> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => socket.close());
  await once(socket, 'listening');
  const answers: string[] = [];
  socket.on('message', (data, { address, port }) => answers.push(`${address}:${port} ${data}`));
  const send: UdpClient['send'] = (text, port, address) => socket.send(text, port, address);
  return {
    answers,
    send,
    async ask(text, port, address) {
      const before = answers.length;
      return eventually(`an answer to ${text}`, () => {
        send(text, port, address);
        return answers.slice(before).find((answer) => answer.endsWith(text));
      });
    },
  };
}
