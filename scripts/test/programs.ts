/**
 * Programs that only tests run: the log shippers rsyslog and syslog-ng, an image registry with skopeo, umoci and the
 * EROFS checker, an emulator for the binaries of the other architecture, and systemd's tools and openssl where the host
 * has none. Prints nothing when all are there.
 */
import { ensurePrograms, executableFolders, findExecutable, type ProgramOptions } from '../debian-packages.ts';

const emulator = process.arch === 'arm64' ? 'qemu-x86_64' : 'qemu-aarch64';

const packages = [
  'rsyslog',
  'syslog-ng-core',
  'docker-registry',
  'skopeo',
  'erofs-utils',
  'umoci',
  'zstd',
  'qemu-user',
];
const programs: Record<string, ProgramOptions> = {
  rsyslogd: { versionArgs: ['-v'], before: (folderOf) => `-M "${folderOf('imfile.so')}"` },
  'syslog-ng': { before: (folderOf) => `--module-path="${folderOf('libaffile.so')}"` },
  'docker-registry': {},
  skopeo: {},
  'fsck.erofs': { versionArgs: ['-V'] },
  umoci: {},
  zstd: {},
  // The emulated program must not see the launcher's library path.
  [emulator]: { before: () => '-U LD_LIBRARY_PATH' },
};

/** The host's own go with the host's libraries. */
const OPTIONAL: Record<string, Record<string, ProgramOptions>> = {
  systemd: { 'systemd-notify': {}, 'systemd-analyze': {} },
  openssl: { openssl: { versionArgs: ['version'] } },
};
for (const [name, needed] of Object.entries(OPTIONAL)) {
  const onHost = Object.keys(needed).every((program) => findExecutable(program, executableFolders()) !== undefined);
  if (onHost) continue;
  packages.push(name);
  Object.assign(programs, needed);
}

try {
  ensurePrograms({ name: 'test-packages', packages, programs });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
