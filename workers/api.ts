/** Entry of the api worker: the daemon's HTTP interface on its unix socket. */
import type { ApiBoot, ApiThreadApi } from '../src/protocol/api.ts';
import { serve } from '../src/threads/entry.ts';
import { createApi } from './api/server.ts';

await serve<ApiThreadApi, ApiBoot>(({ data }) => createApi(data));
