/**
 * Programs from Debian packages that are unpacked below the home instead of installed: some conflict with each other,
 * others would replace a service of the host.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { resolveHome } from '../src/state/paths.ts';

/** Options of one program. */
export interface ProgramOptions {
  /** Arguments that print the version, by default `--version`: they prove that the program runs on this host. */
  readonly versionArgs?: readonly string[];
  /** Shell words before the caller's arguments, given a function that finds the folder of an unpacked file. */
  before?(folderOf: (file: string) => string): string;
}

/** Packages that are unpacked together. */
interface PackageSet {
  /** Folder below the home. */
  readonly name: string;
  /** `package` or `package=version`. */
  readonly packages: readonly string[];
  readonly programs: Readonly<Record<string, ProgramOptions>>;
}

/** Folders that not everybody's PATH has. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];

/**
 * Unpacks the packages unless the home has exactly these. On other distributions the programs of the host are used.
 *
 * @returns the path of each program
 * @throws Error naming the programs or packages that cannot be had
 */
export function ensurePrograms(set: PackageSet): (program: string) => string {
  const folder = join(resolveHome(undefined), set.name);
  const names = Object.keys(set.programs);
  const manifest = `${[...set.packages].sort().join('\n')}\n`;
  if (!isDebian()) return findOnHost(set, names);
  const isComplete = () =>
    names.every((name) => existsSync(join(folder, 'bin', name))) && readText(join(folder, 'packages')) === manifest;
  if (!isComplete()) unpackSet(set, folder, manifest);
  return (program) => join(folder, 'bin', program);
}

/**
 * Unpacks packages of several architectures into one folder of the home, unless it has exactly these: files to link
 * against, of which none runs here. The package lists are private ones, since those of the host may lack architectures.
 *
 * @param packages `package:architecture=version`
 * @returns the folder
 * @throws Error where they cannot be had
 */
export function ensureFiles(name: string, packages: readonly string[]): string {
  const folder = join(resolveHome(undefined), name);
  const manifest = `${[...packages].sort().join('\n')}\n`;
  if (readText(join(folder, 'packages')) === manifest) return join(folder, 'root');
  if (!isDebian()) throw new Error(`${name}: ${packages.join(', ')} can be had on Debian and Ubuntu only`);
  mkdirSync(dirname(folder), { recursive: true });
  const unpacked = mkdtempSync(`${dirname(folder)}/.${basename(folder)}-`);
  try {
    for (const part of ['debs', 'root', 'lists/partial', 'cache']) mkdirSync(join(unpacked, part), { recursive: true });
    const architectures = new Set(packages.map((text) => /:(\w+)=/.exec(text)?.[1] ?? ''));
    const settings = [
      ...[`Dir::State::Lists=${join(unpacked, 'lists')}`, `Dir::Cache=${join(unpacked, 'cache')}`],
      ...[...architectures].map((architecture) => `APT::Architectures::=${architecture}`),
      // Without this one apt warns root that its own user cannot write into the folder.
      ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
    ].flatMap((setting) => ['-o', setting]);
    console.log(`${name}: downloading ${packages.join(' ')} into ${folder}`);
    run('apt-get', ['-qq', ...settings, 'update']);
    run('apt-get', ['-qq', ...settings, 'download', ...packages], join(unpacked, 'debs'));
    for (const file of readdirSync(join(unpacked, 'debs'))) {
      run('dpkg-deb', ['-x', join(unpacked, 'debs', file), join(unpacked, 'root')]);
    }
    for (const part of ['debs', 'lists', 'cache']) rmSync(join(unpacked, part), { recursive: true });
    writeFileSync(join(unpacked, 'packages'), manifest);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unpacked, folder);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
  return join(folder, 'root');
}

/** Path of the first executable file `program` in the folders, or undefined. */
export function findExecutable(program: string, folders: readonly string[]): string | undefined {
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

/** Folders of PATH and those of the system's services. */
export function executableFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  return [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...SYSTEM_FOLDERS];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isDebian(): boolean {
  const folders = executableFolders();
  return (
    ['apt-get', 'dpkg-deb'].every((program) => findExecutable(program, folders) !== undefined) &&
    /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readText('/etc/os-release'))
  );
}

function findOnHost(set: PackageSet, names: readonly string[]): (program: string) => string {
  const folders = executableFolders();
  const missing = names.filter((name) => findExecutable(name, folders) === undefined);
  if (missing.length > 0) {
    throw new Error(`${set.name}: this host lacks ${missing.join(', ')}: install them, or use Debian or Ubuntu`);
  }
  return (program) => findExecutable(program, folders)!;
}

function unpackSet(set: PackageSet, folder: string, manifest: string): void {
  mkdirSync(dirname(folder), { recursive: true });
  // Beside its destination, so that one rename moves it there.
  const unpacked = mkdtempSync(`${dirname(folder)}/.${basename(folder)}-`);
  try {
    for (const name of ['debs', 'root', 'bin']) mkdirSync(join(unpacked, name));
    console.log(`${set.name}: downloading ${set.packages.join(' ')} into ${folder}`);
    download(set, join(unpacked, 'debs'));
    for (const file of readdirSync(join(unpacked, 'debs'))) {
      run('dpkg-deb', ['-x', join(unpacked, 'debs', file), join(unpacked, 'root')]);
    }
    rmSync(join(unpacked, 'debs'), { recursive: true });
    const files = readdirSync(join(unpacked, 'root'), { recursive: true, encoding: 'utf8' });
    for (const [program, options] of Object.entries(set.programs)) {
      const launcher = join(unpacked, 'bin', program);
      writeFileSync(launcher, renderLauncher(program, options, files), { mode: 0o755 });
      run(launcher, options.versionArgs ?? ['--version']);
    }
    writeFileSync(join(unpacked, 'packages'), manifest);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unpacked, folder);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
}

function download(set: PackageSet, folder: string): void {
  const attempt = () => {
    // Without this option apt warns root that its own user cannot write into the folder.
    const options = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
    run('apt-get', ['download', '-qq', ...options, ...withDependencies(set.packages)], folder);
  };
  try {
    attempt();
  } catch (error) {
    if (process.getuid?.() !== 0) throw new Error(`${set.name}: run apt-get update as root first`, { cause: error });
    console.log(`${set.name}: updating the package lists`);
    run('apt-get', ['update', '-qq']);
    attempt();
  }
}

/**
 * Adds the dependencies that this host lacks. Each package is asked for alone, since some conflict. An installed package
 * is left out even where a newer version exists: a second libc beside the host's would not work. Libraries to link
 * against on other architectures are left out, too.
 */
function withDependencies(packages: readonly string[]): string[] {
  const names = packages.map((name) => name.split('=')[0]!);
  const missing = names.flatMap((name) => {
    const plan = run('apt-get', ['-s', '--no-install-recommends', 'install', name]);
    return [...plan.matchAll(/^Inst (\S+) \(/gm)].map((match) => match[1]!);
  });
  const added = new Set(missing.filter((name) => !names.includes(name) && !name.endsWith('-cross')));
  return [...packages, ...added];
}

/** A script that runs a program of the unpacked packages. systemd-analyze finds the units of its package. */
function renderLauncher(program: string, options: ProgramOptions, files: readonly string[]): string {
  const pathOf = (suffix: string) => {
    const path = files.find((name) => name.endsWith(suffix));
    if (path === undefined) throw new Error(`the packages have no ${suffix}`);
    return `$root/${path}`;
  };
  const isLibrary = (path: string) => /^(usr\/)?lib\/.*\/(lib[^/]*\.so\.\d|libsystemd-)[^/]*$/.test(path);
  const libraries = new Set(files.filter(isLibrary).map((path) => `$root/${dirname(path)}`));
  return `#!/bin/sh
root=$(cd "$(dirname "$0")/../root" && pwd) || exit
LD_LIBRARY_PATH=${[...libraries].sort().join(':')}
SYSTEMD_UNIT_PATH=\${SYSTEMD_UNIT_PATH:-$root/lib/systemd/system:$root/usr/lib/systemd/system}
export LD_LIBRARY_PATH SYSTEMD_UNIT_PATH
exec "${pathOf(`bin/${program}`)}" ${options.before?.((file) => dirname(pathOf(`/${file}`))) ?? ''} "$@"
`;
}

/** Runs a program and returns what it printed. Throws with its standard error. */
function run(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
