/**
 * Rebuilds every binary of the repository from its source: `npm run compile`. With `--check` it writes nothing and
 * fails, naming each committed file that differs from what the source compiles to. Paths are relative to the working
 * folder. The binaries are committed so that neither a build nor a run needs a compiler.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import loadWabt from 'wabt';
import { ensureFiles, ensurePrograms, type ProgramOptions } from './debian-packages.ts';

/** A committed file and how to make it. */
interface Artefact {
  readonly path: string;
  /** Permissions, octal. */
  readonly mode: number;
  build(): Buffer | Promise<Buffer>;
}

/** Node's names of the architectures and the compiler's. */
const TARGETS = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

/** Debian 12's versions, as its gcc-12: other versions may choose or order instructions differently. */
const BINUTILS = '2.40-2';
const HEADERS = '6.1.4-1cross1';
const MUSL = '1.2.3-1';

const COMMON = [
  ...['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-Os', '-fno-stack-protector'],
  ...['-fno-asynchronous-unwind-tables', '-fno-pie', '-fno-ident', '-static', '-nostdlib', '-no-pie', '-s'],
  '-Wl,--build-id=none,-z,noexecstack',
];

/** Options of a program without a C library. */
const WITHOUT_LIBRARY = [...COMMON, '-ffreestanding', '-I', 'src/lib'];

/** Linker options for a single small segment: without -n each section would begin a page. */
const FREESTANDING = [...WITHOUT_LIBRARY, '-Wl,-n'];

/** Code and variables apart: in one segment, code of a program with variables could be written to. */
const WITH_VARIABLES = [...WITHOUT_LIBRARY, '-Wl,-z,max-page-size=4096'];

/** Options of a program with musl, of which it gets what it needs. */
const WITH_MUSL = [...[...COMMON, '-ffunction-sections', '-fdata-sections'], '-Wl,--gc-sections,-z,max-page-size=4096'];

const ARTEFACTS: readonly Artefact[] = [
  ...compileC('src/lib/file-lock', 'flock.c', 'monocore-flock', FREESTANDING),
  ...compileC('src/vm/process/shim', 'shim.c', 'monocore-shim', FREESTANDING),
  ...compileC('workers/spawner/launch', 'launch.c', 'monocore-launch', FREESTANDING),
  // Only x86 has that counter.
  ...compileC('src/vm/qemu/tsc', 'tsc.c', 'monocore-tsc', FREESTANDING, ['x64']),
  ...compileC('src/vm/qemu/jail', 'jail.c', 'monocore-jail', WITH_VARIABLES),
  ...compileWithMusl('src/vm/guest/agent', 'monocore-agent'),
  { path: 'workers/logs/format/frame-wasm.ts', mode: 0o644, build: () => compileWat('workers/logs/format/frame.wat') },
];

const isCheck = process.argv.includes('--check');
try {
  for (const artefact of ARTEFACTS) {
    const built = await artefact.build();
    if (isCheck) compare(artefact.path, built);
    else write(artefact, built);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function compare(path: string, built: Buffer): void {
  const committed = readFileSync(path);
  if (committed.equals(built)) return;
  console.error(`${path} (${describe(committed)}) differs from its source (${describe(built)}): run npm run compile`);
  process.exitCode = 1;
}

function describe(content: Buffer): string {
  return `${content.length} bytes, sha256 ${createHash('sha256').update(content).digest('hex').slice(0, 12)}`;
}

function write({ path, mode }: Artefact, built: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  // The file of a program that runs cannot be written.
  rmSync(path, { force: true });
  writeFileSync(path, built);
  chmodSync(path, mode);
  console.log(`${path}: ${describe(built)}`);
}

type TargetName = keyof typeof TARGETS;

/** A C program for each architecture: `<folder>/<architecture>/<name>`. */
function compileC(
  folder: string,
  source: string,
  name: string,
  options: readonly string[],
  architectures: readonly TargetName[] = ['x64', 'arm64'],
): Artefact[] {
  return architectures.map((architecture) => ({
    path: join(folder, architecture, name),
    mode: 0o755,
    build: () => compile(architecture, folder, [...options, join(folder, source)]),
  }));
}

/** As {@link compileC}, of all sources in the folder, linked with a static musl. */
function compileWithMusl(folder: string, name: string): Artefact[] {
  return (['x64', 'arm64'] as const).map((architecture) => ({
    path: join(folder, architecture, name),
    mode: 0o755,
    build() {
      const debian = { x64: 'amd64', arm64: 'arm64' };
      const packages = Object.values(debian).map((name) => `musl-dev:${name}=${MUSL}`);
      const triple = TARGETS[architecture].replace('gnu', 'musl');
      const root = ensureFiles('musl', packages);
      const library = (file: string) => join(root, 'usr/lib', triple, file);
      // In an order that no file system chooses.
      const names = readdirSync(folder).filter((file) => file.endsWith('.c'));
      const sources = names.sort().map((file) => join(folder, file));
      const headers = ['-isystem', join(root, 'usr/include', triple)];
      return compile(architecture, folder, [
        ...WITH_MUSL,
        ...headers,
        library('crt1.o'),
        ...sources,
        library('libc.a'),
      ]);
    },
  }));
}

function compile(architecture: TargetName, folder: string, args: readonly string[]): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'monocore-compile-'));
  try {
    const output = join(dir, 'program');
    const target = TARGETS[architecture];
    const { status, error } = spawnSync(findCompiler(target), ['-o', output, ...args], { stdio: 'inherit' });
    if (status !== 0) throw new Error(`${folder} does not compile for ${target}`, { cause: error });
    return readFileSync(output);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Path of a pinned compiler. The first call downloads all of them. */
function findCompiler(target: string): string {
  const native = process.arch === 'arm64' ? TARGETS.arm64 : TARGETS.x64;
  // The package binutils has the native assembler and linker by the names that the compiler looks for.
  const packages = [`binutils=${BINUTILS}`, `libbinutils=${BINUTILS}`];
  const programs: Record<string, ProgramOptions> = {};
  for (const name of Object.values(TARGETS)) {
    const packageName = name.replace('_', '-');
    const [suffix, version] = name === native ? ['', '12.2.0-14+deb12u1'] : [`-${packageName}`, '12.2.0-14cross1'];
    const headers = `linux-libc-dev-${name === TARGETS.arm64 ? 'arm64' : 'amd64'}-cross`;
    packages.push(`gcc-12${suffix}=${version}`, `cpp-12${suffix}=${version}`);
    packages.push(`binutils-${packageName}=${BINUTILS}`, `${headers}=${HEADERS}`);
    const binutils = name === native ? 'usr/bin' : `usr/${name}/bin`;
    programs[`${name}-gcc-12`] = {
      // Otherwise the host's assembler, linker and headers would be found first.
      before: () => `-B"$root/${binutils}/" -nostdinc -isystem "$root/usr/${name}/include"`,
    };
  }
  return ensurePrograms({ name: 'compilers', packages, programs })(`${target}-gcc-12`);
}

/** A TypeScript module with a WebAssembly text file, compiled, in base64. */
async function compileWat(source: string): Promise<Buffer> {
  const wabt = await loadWabt();
  const parsed = wabt.parseWat(source, readFileSync(source, 'utf8'), { simd: true, mutable_globals: true });
  const { buffer } = parsed.toBinary({});
  return Buffer.from(`/** frame.wat, compiled by scripts/compile.ts; base64. */
export const FRAME_WASM =
  '${Buffer.from(buffer).toString('base64')}';
`);
}
