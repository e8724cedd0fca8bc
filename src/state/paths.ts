/**
 * Every path that monocore uses below its home, and who writes, reads and deletes it. The home, `log/` and `kernel/` are
 * 0755, all other folders 0700: other users can read logs and nothing else.
 *
 * | path | mode | written by | read by | deleted by |
 * |---|---|---|---|---|
 * | `daemon.sock` | 0600 | api worker | CLI | api worker, next daemon |
 * | `lock` | 0600 | daemon: empty, locked with the home while one runs | daemon | nobody |
 * | `run/<service>.json` | 0600 | state worker (`.tmp` until it is whole) | main, next daemon | state worker when the service has ended |
 * | `ended/<service>.json` | 0600 | state worker when the service has ended (`.tmp` likewise) | main, next daemon | state worker at `start`, `remove` |
 * | `run/<service>/` | 0700 | main before the launch | VM process, main | main when the service has ended |
 * | `run/<service>/{stdout,stderr,console}.fifo` | 0600 | VM process | log worker | with the folder |
 * | `run/<service>/{control,qmp}.sock` | 0600 | jail of the VM process | main | with the folder |
 * | `run/<service>/net.sock` | 0600 | jail of the VM process | network worker | with the folder |
 * | `run/<service>/share.sock`, `share/` | 0700 | main before the launch, virtiofsd | VM process | with the folder |
 * | `run/<service>/exit` | 0600 | VM side (guest's agent, or the shim) | main, next daemon | with the folder |
 * | `run/<service>/{process,share.process}` | 0600 | VM process, virtiofsd: before they become their programs | main, next daemon | with the folder |
 * | `run/<service>/jail` | 0600 | main before the launch | jail of the VM process | with the folder |
 * | `run/<service>/limits.json` | 0600 | main before the launch | main, next daemon | with the folder |
 * | `disk/<service>.img` | 0600 | main before the first launch, then the VM process | VM process | main at `remove` |
 * | `log/<service>.<stream>.<number>.log` | 0644 | log worker | shippers, `logs` | log worker at `remove`; jobs, when it is compressed or too old |
 * | `log/<service>.<stream>.<number>.log.gz` | 0644 | job (`.gz.tmp` until it is whole) | `logs` | log worker at `remove`; job, when it is too old |
 * | `log/<service>.<stream>.log` | symlink | log worker | shippers | log worker at `remove` |
 * | `settings.json` | 0600 | main at `start` and `remove` | next daemon | nobody |
 * | `log/monocore.<number>.log` | 0644 | pino-roll's worker | people | pino-roll |
 * | `cache/initramfs/<sha256>.cpio` | 0644, for the user of QEMU | job | QEMU | nobody: content-addressed |
 * | `cache/kernels/<sha256 of the path>` | 0644, for the user of QEMU | main, from a kernel that only its owner can read | QEMU | nobody: written again at each start of a daemon |
 * | `cache/accelerator.json` | 0600 | main after a probe | main, `doctor` | nobody: keyed by versions |
 * | `images/{oci-layout,index.json}` | 0600 | image jobs under the store's lock | image jobs | nobody |
 * | `images/lock` | 0600 | image jobs: empty, locked with its folder by one at a time | image jobs | nobody |
 * | `images/blobs/sha256/<hex>` | 0600 | image jobs, once verified | image jobs | `images rm`, `images prune` |
 * | `images/partial/<hex>` | 0600 | pull job, until it is verified | the next pull, which goes on | that pull; `images prune` |
 * | `images/roots/<hex>.erofs` | 0600 | root job (`.erofs.tmp` until it is whole) | QEMU | `images rm`, `images prune` |
 * | `images/roots/<hex>.json` | 0600 | root job, before the image itself | main | with the image |
 * | `images/partial/load-<n>` | 0600 | load job | load job | load job; next load, `images prune` |
 * | `kernel/` | 0755 | setup script | QEMU, job | nobody |
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { MonocoreError } from '../lib/errors.ts';
import { isName } from '../protocol/input.ts';
import type { StreamName } from '../protocol/log-files/names.ts';

/** Home folder: `--home`, or else `MONOCORE_HOME`, or else `~/.monocore` as in the Rust version. Always absolute. */
export function resolveHome(option: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  return resolve(option || env.MONOCORE_HOME || join(homedir(), '.monocore'));
}

/** Folder with known paths in it, which subclasses name. */
class Folder {
  readonly dir: string;

  /** @param dir absolute path */
  constructor(dir: string) {
    this.dir = dir;
  }
}

/** Paths in the runtime folder of one VM. */
export class VmPaths extends Folder {
  readonly control = join(this.dir, 'control.sock');
  readonly qmp = join(this.dir, 'qmp.sock');
  /** Socket over which the VM process exchanges Ethernet frames with the network worker. */
  readonly groupNetwork = join(this.dir, 'net.sock');
  /** Socket of the process that shares host files with the guest. */
  readonly share = join(this.dir, 'share.sock');
  /** Folder on which that process mounts the shared files, visible to itself alone; missing if nothing is shared. */
  readonly shareFolder = join(this.dir, 'share');
  /** FIFO on which the shim of a plain process waits for permission to exit. */
  readonly release = join(this.dir, 'release.fifo');
  /** Identities of the VM process and of the process that shares files, see `vm/host/process-record.ts`. */
  readonly processRecord = join(this.dir, 'process');
  readonly shareRecord = join(this.dir, 'share.process');
  /** Description of the VM process's jail, see `vm/qemu/jail/jail.c`. */
  readonly jail = join(this.dir, 'jail');
  /** Cgroups that were created for the service, and the limits that could not be set. */
  readonly limits = join(this.dir, 'limits.json');
  /** Exit record, written line by line by the guest's agent or the shim, see `vm/host/exit-record.ts`. */
  readonly exitRecord = join(this.dir, 'exit');

  fifo(stream: StreamName): string {
    return join(this.dir, `${stream}.fifo`);
  }
}

/**
 * Paths of the image store: an OCI image layout (image-spec, image-layout.md), and files that are not yet part of it.
 * Digests are `sha256:<hex>`, validated by the caller.
 */
export class ImagePaths extends Folder {
  /** Locked by the job that changes the store, see `lib/file-lock.ts`. */
  readonly lock = join(this.dir, 'lock');
  readonly layoutFile = join(this.dir, 'oci-layout');
  readonly index = join(this.dir, 'index.json');
  readonly blobsDir = join(this.dir, 'blobs', 'sha256');
  /**
   * Data that has not been verified yet, on the same file system as the blobs, so that it can be renamed into place.
   */
  readonly partialDir = join(this.dir, 'partial');
  /** Root file systems that services boot from, one for each image that has been started. */
  readonly rootsDir = join(this.dir, 'roots');

  blob(digest: string): string {
    return join(this.blobsDir, hexOf(digest));
  }
  /** Path of a root file system. @param digest of the image's manifest */
  root(digest: string): string {
    return join(this.rootsDir, `${hexOf(digest)}.erofs`);
  }
  /** Path of the image's settings for commands in that root. @param digest of the image's manifest */
  rootRecord(digest: string): string {
    return join(this.rootsDir, `${hexOf(digest)}.json`);
  }
  /** Path of an unfinished download. */
  partial(digest: string): string {
    return join(this.partialDir, hexOf(digest));
  }
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

/** Paths of one home, see {@link resolveHome}. */
export class HomePaths extends Folder {
  readonly home = this.dir;
  readonly socket = join(this.home, 'daemon.sock');
  /** Locked by the daemon of the home, see `lib/file-lock.ts`. */
  readonly lock = join(this.home, 'lock');
  readonly runDir = join(this.home, 'run');
  readonly endedDir = join(this.home, 'ended');
  readonly logDir = join(this.home, 'log');
  readonly settings = join(this.home, 'settings.json');
  readonly diskDir = join(this.home, 'disk');
  readonly kernelDir = join(this.home, 'kernel');
  readonly cacheDir = join(this.home, 'cache');
  readonly initramfsDir = join(this.cacheDir, 'initramfs');
  readonly kernelCopiesDir = join(this.cacheDir, 'kernels');
  readonly acceleratorVerdict = join(this.cacheDir, 'accelerator.json');
  readonly images = new ImagePaths(join(this.home, 'images'));
  /** Path of the daemon's own log, to which pino-roll appends a number. */
  readonly daemonLog = join(this.logDir, 'monocore');

  stateFile(service: string): string {
    return join(this.runDir, `${checked(service)}.json`);
  }
  endedFile(service: string): string {
    return join(this.endedDir, `${checked(service)}.json`);
  }
  /** Path of a service's disk, which is kept between runs. */
  disk(service: string): string {
    return join(this.diskDir, `${checked(service)}.img`);
  }
  /** Runtime folder of one VM. */
  vm(service: string): VmPaths {
    return new VmPaths(join(this.runDir, checked(service)));
  }
}

/**
 * Asserts that a name is valid: callers have checked it, but a bug must not lead out of the home.
 *
 * @throws MonocoreError `Internal`
 */
function checked(service: string): string {
  if (isName(service)) return service;
  throw new MonocoreError('Internal', `${JSON.stringify(service)} is not the name of a service`);
}

/** Maximum length of a Unix socket path in bytes: `sun_path` has 108 including the terminating NUL, see unix(7). */
export const MAX_SOCKET_PATH_BYTES = 107;
