/** A registry of our own that can break off, lie, demand tokens and be busy: the faults that a real one does not offer. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { TestImage } from '../images/images.ts';
import { defer } from '../temp.ts';

/** Handler that a request meets first; returns true when it has answered. */
type Fault = (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;

/** A running registry. */
export interface TestRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** `GET /v2/…` of each request, in order; ranges and whether credentials came are noted behind. */
  readonly requests: string[];
  /** Called for each request that is about a manifest or blob; replaced by tests. */
  fault: Fault;
  /** Makes an image known under a repository and tag. */
  add(repository: string, tag: string, image: TestImage): void;
}

/** Starts a registry that ends with the test. */
export async function startRegistry(t: Pick<TestContext, 'after'>): Promise<TestRegistry> {
  const manifests = new Map<string, { type: string; bytes: Buffer }>();
  const blobs = new Map<string, Buffer>();
  const server = createServer((request, response) => answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    server.closeAllConnections();
    server.close();
  });

  const registry: TestRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    fault: () => false,
    add(repository, tag, image) {
      for (const [digest, document] of image.manifests) manifests.set(`${repository}/manifests/${digest}`, document);
      manifests.set(`${repository}/manifests/${tag}`, image.manifests.get(image.digest)!);
      for (const [digest, bytes] of image.blobs) blobs.set(`${repository}/blobs/${digest}`, bytes);
    },
  };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { range, authorization } = request.headers;
    const path = request.url!.replace(/^\/v2\//, '');
    const notes = [range, authorization?.split(' ')[0]].filter(Boolean).join(' ');
    registry.requests.push(`${request.method} ${path}${notes ? ` ${notes}` : ''}`);
    const manifest = manifests.get(path);
    const body = manifest?.bytes ?? blobs.get(path) ?? Buffer.alloc(0);
    if (registry.fault(request, response, body)) return;
    if (manifest) {
      response.writeHead(200, { 'content-type': manifest.type, 'content-length': body.length }).end(body);
    } else if (!blobs.has(path)) {
      response.writeHead(404).end();
    } else {
      sendBlob(request, response, body);
    }
  }
  return registry;
}

function sendBlob(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start === 0) {
    response.writeHead(200, { 'content-length': body.length }).end(body);
    return;
  }
  const rest = body.subarray(start);
  response
    .writeHead(206, {
      'content-length': rest.length,
      'content-range': `bytes ${start}-${body.length - 1}/${body.length}`,
    })
    .end(rest);
}

/** Sends a part of the body and breaks the connection when it is on its way. */
export function breakOffAfter(bytes: number, response: ServerResponse, body: Buffer, start = 0): void {
  const status = start === 0 ? 200 : 206;
  response.writeHead(status, {
    'content-length': body.length - start,
    ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
  });
  response.write(body.subarray(start, start + bytes), () => response.destroy());
}
