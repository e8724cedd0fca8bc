/** The api worker: the daemon's HTTP interface on its unix socket. */
import type { ApiBoot, ApiThreadApi } from '../src/protocol/api-thread.ts';
import { serve } from '../src/threads/worker-side.ts';
import { createApi } from './api/server.ts';

await serve<ApiThreadApi, ApiBoot>(({ data }) => createApi(data));
