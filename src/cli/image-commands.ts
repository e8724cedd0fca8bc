/** The part of the command line that is about images. */
import { type Command, Option } from 'commander';
import { collectOption, parseSizeOption } from './options.ts';
import type { Run } from './program.ts';

/** Adds `pull` and `images`. */
export function addImageCommands(program: Command, run: Run): void {
  const maxSize = () =>
    new Option('--max-image-size <size>', 'most bytes of an image, compressed (default: 16GiB)').argParser(
      parseSizeOption,
    );

  program
    .command('pull <images...>')
    .description('get images from their registries')
    .option('--insecure', 'plain HTTP for registries on this host')
    .option('--insecure-registry <host>', 'plain HTTP for this registry (host[:port]), wherever it is', collectOption)
    .addOption(maxSize())
    .action(
      run<import('./commands/pull.ts').PullOptions>(async (context, names, options) => {
        const { pull } = await import('./commands/pull.ts');
        return pull(context, names, options);
      }),
    );

  const images = program
    .command('images')
    .description('list the images that were pulled or loaded')
    .option('--json', 'print JSON')
    .action(
      run<{ json?: boolean }>(async (context, _names, options) => {
        const { listImages } = await import('./commands/images.ts');
        return listImages(context, options);
      }),
    );
  images
    .command('rm <images...>')
    .description('remove images, by name or digest')
    .action(
      run(async (context, names) => {
        const { removeImages } = await import('./commands/images.ts');
        return removeImages(context, names);
      }),
    );
  images
    .command('prune')
    .description('remove images that lost their name, roots of no service, and what broken downloads left')
    .action(
      run(async (context) => {
        const { pruneImages } = await import('./commands/images.ts');
        return pruneImages(context);
      }),
    );
  images
    .command('load <files...>')
    .description('load images from docker-archive or OCI archive files')
    .option('--name <name>', 'name of the only image of the archive')
    .addOption(maxSize())
    .action(
      run<import('./commands/images.ts').LoadOptions>(async (context, files, options) => {
        const { loadImages } = await import('./commands/images.ts');
        return loadImages(context, files, options);
      }),
    );
}
