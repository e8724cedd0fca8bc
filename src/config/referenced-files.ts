/** Checks of the host files that a config refers to. */
import { readFile, stat } from 'node:fs/promises';
import pLimit from 'p-limit';
import { errorCode, errorTextWithPath } from '../lib/errors.ts';
import { type Path, quote } from './languages/document.ts';
import { parseEnvFile } from './languages/env-file.ts';
import { type PathProblem, valueProblem } from './problems.ts';
import type { EnvFiles } from './resolve.ts';
import type { ParsedConfig } from './schema/parsed-config.ts';

type Kind = 'directory' | 'file' | 'file or directory';

/** Largest `env_file` that is read: variables and arguments together must fit into 2 MiB, see execve(2). */
const MAX_ENV_FILE_BYTES = 1024 * 1024;

interface FileUse {
  readonly at: Path;
  readonly file: string;
  readonly kind: Kind;
}

/** Checks that each file or directory that a config refers to exists and has the right type; reads the `env_file`s. */
export async function checkFiles(parsed: ParsedConfig): Promise<{ problems: PathProblem[]; envFiles: EnvFiles }> {
  const [problems, envFiles] = await Promise.all([
    Promise.all(listFiles(parsed).map((use) => atOnce(() => checkKind(use)))),
    Promise.all(listEnvFiles(parsed).map((use) => atOnce(() => readEnvFile(use)))),
  ]);
  return {
    problems: [...problems.filter((problem) => problem !== null), ...envFiles.flatMap((reading) => reading.problems)],
    envFiles: new Map(envFiles.map(({ file, envs }) => [file, envs])),
  };
}

/** A config may refer to thousands of files, and each open file takes a descriptor. */
const atOnce = pLimit(16);

function listFiles({ document, services, groups }: ParsedConfig): FileUse[] {
  return [
    ...useOf(['kernel'], document.values.kernel, 'file'),
    ...services.flatMap(({ path, table, values }) => [
      ...useOf([...path, 'rootfs'], values.rootfs, 'directory'),
      ...(values.volumes ?? []).flatMap(({ host }, index) =>
        useOf([...path, 'volumes', index], host, 'file or directory'),
      ),
      ...(values.secrets ?? []).flatMap(({ name, path: file }) =>
        useOf([...path, 'secrets', keyOfPair(table.secrets, name)], file, 'file'),
      ),
    ]),
    ...groups.flatMap(({ values }) =>
      (values.volume ?? []).flatMap((volume) =>
        useOf([...volume.path, 'path'], volume.values.path, 'file or directory'),
      ),
    ),
  ];
}

function useOf(at: Path, file: string | undefined, kind: Kind): FileUse[] {
  return file === undefined ? [] : [{ at, file, kind }];
}

/** Index or key of a name in an array or a table of pairs. */
function keyOfPair(pairs: unknown, name: string): string | number {
  return Array.isArray(pairs) ? pairs.findIndex((pair: string) => pair.startsWith(`${name}=`)) : name;
}

async function checkKind({ at, file, kind }: FileUse): Promise<PathProblem | null> {
  try {
    const found = await stat(file);
    if (kind !== 'file' && found.isDirectory()) return null;
    if (kind !== 'directory' && found.isFile()) return null;
    return valueProblem(at, `${quote(file)} is not a ${kind}`);
  } catch (error) {
    return unreadable(at, file, kind, error);
  }
}

function unreadable(at: Path, file: string, kind: Kind, error: unknown): PathProblem {
  const code = errorCode(error);
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
  if (!isMissing) return valueProblem(at, errorTextWithPath(error));
  const remedy = kind === 'file or directory' ? '; create it first' : '';
  return valueProblem(at, `there is no ${kind} ${quote(file)}${remedy}`);
}

function listEnvFiles({ services }: ParsedConfig): Omit<FileUse, 'kind'>[] {
  return services.flatMap(({ path, table, values }) =>
    (values.env_file ?? []).map((file, index) => {
      return { at: [...path, 'env_file', ...(Array.isArray(table.env_file) ? [index] : [])], file };
    }),
  );
}

/** Variables of an `env_file`, without the invalid ones. */
export interface EnvFile {
  readonly file: string;
  readonly envs: Readonly<Record<string, string>>;
  readonly problems: readonly PathProblem[];
}

/** Reads an `env_file`; problems in it are reported at `at`. */
export async function readEnvFile({ at, file }: Omit<FileUse, 'kind'>): Promise<EnvFile> {
  const failed = (problem: PathProblem) => ({ file, envs: {}, problems: [problem] });
  try {
    const found = await stat(file);
    if (!found.isFile()) return failed(valueProblem(at, `${quote(file)} is not a file`));
    if (found.size > MAX_ENV_FILE_BYTES) return failed(valueProblem(at, `${quote(file)} is larger than 1 MiB`));
    const { envs, problems } = parseEnvFile(new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file)));
    const located = problems.map(({ line, message }) => valueProblem(at, `${file}:${line}: ${message}`));
    return { file, envs, problems: located };
  } catch (error) {
    if (errorCode(error) !== 'ERR_ENCODING_INVALID_ENCODED_DATA') return failed(unreadable(at, file, 'file', error));
    return failed(valueProblem(at, `${quote(file)} is not UTF-8 text`));
  }
}
