/** Manual pages of the package, for man(1): the manual, and the commands from the table of verbs. */
import { listPages, readPage } from '../src/cli/manual/pages.ts';
import { packageVersion } from '../src/lib/package-info.ts';
import { commandReference } from './man/commands.ts';
import { type ManPage, renderManPage } from './man/roff.ts';

/** Source of each page by its path below `dist/`. package.json lists the same paths, since npm expands no pattern there. */
export async function manPages(): Promise<Map<string, string>> {
  const version = packageVersion();
  const pages: ManPage[] = [
    { name: 'monocore', section: 1, title: 'boot and supervise microVMs', version, text: commandReference() },
    ...(await Promise.all(
      listPages().map(async ({ topic, title }): Promise<ManPage> => {
        const text = await readPage(topic);
        if (topic === 'config') return { name: 'monocore.toml', section: 5, title, version, text };
        return { name: `monocore-${topic}`, section: 7, title, version, text };
      }),
    )),
  ];
  return new Map(pages.map((page) => [`man/man${page.section}/${page.name}.${page.section}`, renderManPage(page)]));
}
