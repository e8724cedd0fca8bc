/** Host ports are checked before a VM is started: QEMU's own message names neither the service nor a remedy. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode, errorText, MonocoreError } from '../../errors.ts';
import type { Service } from '../../protocol/service.ts';

/** @throws MonocoreError `StartFailed` naming the first port that cannot be bound on `address` */
export async function checkPortsAreFree(service: Service, address: string): Promise<void> {
  for (const { host } of service.ports) {
    const server = createServer();
    try {
      server.listen({ host: address, port: host, exclusive: true });
      await once(server, 'listening');
    } catch (cause) {
      const reason = errorCode(cause) === 'EADDRINUSE' ? 'another program listens there' : errorText(cause);
      const message = `port ${address}:${host} of service ${service.name} cannot be opened: ${reason}`;
      throw new MonocoreError('StartFailed', message, { cause });
    } finally {
      server.close();
    }
  }
}
