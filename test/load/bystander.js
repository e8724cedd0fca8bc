/** A process that has nothing to do: what the host alone does to an event loop. */
import { watchLoop } from './loop-delay.js';

watchLoop();
