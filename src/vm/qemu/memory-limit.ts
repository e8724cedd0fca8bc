/** Memory limit of a VM on the host: enough for everything that QEMU needs, and low enough to protect the host. */
import { MIB } from '../../lib/units.ts';

/**
 * Memory of QEMU in addition to the guest's, MiB. Measured with QEMU 7.2 under TCG, with the guest's memory written to
 * its last page and one busy loop per processor: `memory.max_usage_in_bytes` of its cgroup minus Rss of the guest's
 * mapping in `/proc/<pid>/smaps` was 67 for a guest with 128 MiB and one processor, and 68 for one with 512 MiB and
 * two. 32 of these are TCG's translation cache; QEMU's own code, if it is charged to this cgroup, adds 25. KVM has no
 * such cache and was not measured.
 */
const OVERHEAD_MIB = 96;

/**
 * Reserve for memory that cannot be measured with an idle guest: QEMU buffers connections of the user network and
 * pending disk requests. A generous limit costs nothing, while a VM that reaches it dies.
 */
const HEADROOM_MIB = 288;

/** Page tables of the guest's memory, in the host's kernel, take about 1/512 of it, and as much again with KVM. */
const PAGE_TABLE_SHARE = 1 / 128;

/**
 * virtiofsd holds an open file for each file that the guest knows, and the host's kernel can reclaim none of its
 * memory: 0.4 KiB with virtiofsd's own data, measured with 20,000 files, and 1.3 KiB for its inode and name on the host
 * with ext4. The guest's kernel uses 1 KiB of its own memory for each file, which limits their number.
 */
const KNOWN_FILES_SHARE = 1.75;

/**
 * Limit for the VM process and virtiofsd together in bytes, including page cache and kernel memory.
 *
 * @param shares true if host files are shared with the VM
 */
export function memoryLimitBytes(ramMib: number, shares: boolean): number {
  const ramShare = 1 + PAGE_TABLE_SHARE + (shares ? KNOWN_FILES_SHARE : 0);
  return Math.ceil(ramMib * ramShare + OVERHEAD_MIB + HEADROOM_MIB) * MIB;
}
