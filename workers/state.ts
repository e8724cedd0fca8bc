/**
 * The state worker: writes state files, so that no disk, however slow, is anything that the main thread meets. Dozens of
 * services change at once, and a file takes five system calls: here they are made one after the other, at a fraction of
 * what they cost through the pool of libuv.
 */
import type { StateApi } from '../src/protocol/state.ts';
import { serve } from '../src/threads/entry.ts';
import { changeFiles } from './state/change-files.ts';

await serve<StateApi, null>(() => ({ change: changeFiles }));
