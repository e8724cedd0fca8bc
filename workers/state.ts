/**
 * State worker: writes state files, so that the main thread never waits for a slow disk. Dozens of services change at
 * once, and a file takes five system calls: executed in sequence on this thread, they cost a fraction of what they cost
 * in libuv's pool.
 */
import type { StateApi } from '../src/protocol/state.ts';
import { serve } from '../src/threads/entry.ts';
import { changeFiles } from './state/change-files.ts';

await serve<StateApi, null>(() => ({ change: changeFiles }));
