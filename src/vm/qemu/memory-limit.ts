/** How much memory of the host a VM may take: enough for all that QEMU needs, too little to take the host with it. */
const MIB = 2 ** 20;

/**
 * What QEMU takes beside the guest's memory, MiB. Measured with QEMU 7.2 under TCG, the guest's memory written to its
 * last page and one busy loop per processor, guests of 128 MiB with one and 512 MiB with two processors alike:
 * `memory.max_usage_in_bytes` of its cgroup less Rss of the guest's mapping in `/proc/<pid>/smaps` was 67 and 68, of
 * which 32 are TCG's translation cache; QEMU's own code, where it is charged here, makes 25 more. KVM has no such
 * cache and was not measured.
 */
const OVERHEAD_MIB = 96;

/**
 * For what no measurement of a quiet guest shows: each connection of the user network buffers in QEMU, and requests of
 * a disk wait there. It is a bound on a fault, so what it allows in vain costs nothing, while a VM that meets it dies.
 */
const HEADROOM_MIB = 288;

/** Page tables of the guest's memory, in the host's kernel, take about 1/512 of it, and as much again under KVM. */
const PAGE_TABLE_SHARE = 1 / 128;

/** The memory limit of the VM process, bytes, page cache and kernel memory included. */
export function memoryLimitBytes(ramMib: number): number {
  return Math.ceil(ramMib * (1 + PAGE_TABLE_SHARE) + OVERHEAD_MIB + HEADROOM_MIB) * MIB;
}
