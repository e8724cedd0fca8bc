/** Memory limit of a VM on the host: enough for all that QEMU needs, and little enough to protect the host. */
import { MIB } from '../../lib/units.ts';

/**
 * Memory of QEMU beside the guest's, MiB. Measured with QEMU 7.2 under TCG, the guest's memory written to its
 * last page and one busy loop per processor, guests of 128 MiB with one and 512 MiB with two processors alike:
 * `memory.max_usage_in_bytes` of its cgroup less Rss of the guest's mapping in `/proc/<pid>/smaps` was 67 and 68, of
 * which 32 are TCG's translation cache; QEMU's own code, where it is charged here, makes 25 more. KVM has no such
 * cache and was not measured.
 */
const OVERHEAD_MIB = 96;

/**
 * Reserve for what no measurement of a quiet guest shows: connections of the user network buffer in QEMU, and requests of
 * a disk wait there. A generous bound costs nothing, while a VM that reaches it dies.
 */
const HEADROOM_MIB = 288;

/** Page tables of the guest's memory, in the host's kernel, take about 1/512 of it, and as much again under KVM. */
const PAGE_TABLE_SHARE = 1 / 128;

/**
 * virtiofsd keeps a file open for each file that the guest knows, and the host's kernel can free none of it: 0.4 KiB with
 * virtiofsd's own notes, measured with 20,000 files, and its inode and name on the host, 1.3 KiB with ext4. The guest's
 * kernel takes 1 KiB of its own memory for it, and so it is bounded by that.
 */
const KNOWN_FILES_SHARE = 1.75;

/**
 * Limit for the VM process and virtiofsd together, bytes, page cache and kernel memory included.
 *
 * @param shares true when the VM has files of the host
 */
export function memoryLimitBytes(ramMib: number, shares: boolean): number {
  const ramShare = 1 + PAGE_TABLE_SHARE + (shares ? KNOWN_FILES_SHARE : 0);
  return Math.ceil(ramMib * ramShare + OVERHEAD_MIB + HEADROOM_MIB) * MIB;
}
