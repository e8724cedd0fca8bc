import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import test from 'node:test';
import { checkPortsAreFree } from '../../../src/vm/qemu/ports.ts';
import { scriptService } from '../../helpers/services.ts';

test('a port that somebody listens on is named with its service, and only on that address', async (t) => {
  const server = createServer().listen(0, '127.0.0.2');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const service = scriptService('web', '', { ports: [{ host: port, guest: 80, protocol: 'tcp' }] });
  await assert.rejects(checkPortsAreFree(service, '127.0.0.2'), {
    code: 'StartFailed',
    message: `port 127.0.0.2:${port} of service web cannot be opened: another program listens there`,
  });
  await checkPortsAreFree(service, '127.0.0.3');
  await checkPortsAreFree(service, '127.0.0.3');
});
