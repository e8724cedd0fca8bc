/**
 * Preloaded into tests: imports of `src` and `workers` lead to `dist`. Tests so run what is published, and neither the
 * threads nor the commands that they start load a compiler, which would be two thirds of their work.
 */
import module from 'node:module';

// Node 20 has hooks on a thread of their own alone; later versions warn of those.
if (module.registerHooks) module.registerHooks(await import('./build-hooks.js'));
else module.register('./build-hooks.js', import.meta.url);
