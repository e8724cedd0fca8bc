/** Programs for root in a guest: each comes by a port of the VM and floods it. */

/**
 * `perl -e FLOOD_PROGRAM <port> <bytes>`: writes bytes, in hexadecimal digits, to a port for ever. The port is a device, or
 * the number of one of the agent's, see `renderCommandLine`: those can be opened once only, so their driver is unbound
 * first, which takes them away from the agent. For a root of `makePerlRoot`.
 */
export const FLOOD_PROGRAM = `
  my ($port, $digits) = @ARGV;
  my $out;
  if ($port =~ m(^/)) {
    open($out, '>', $port) or die "no port: $!";
  } else {
    my ($found) = grep { /p$port\\z/ } glob('/sys/class/virtio-ports/*') or die "no port";
    my ($device) = readlink("$found/device") =~ m{([^/]+)\\z} or die "no device of $found";
    for my $what ('unbind', 'bind') {
      open(my $file, '>', "/sys/bus/virtio/drivers/virtio_console/$what") or die "$what: $!";
      syswrite($file, $device) or die "$what: $!";
      close $file;
    }
    until (grep { open($out, '+<', $_) } glob("/dev/vport*p$port")) { select(undef, undef, undef, 0.01) }
  }
  my $bytes = pack('H*', $digits) x 1000;
  for (my $at = 0;; $at %= length $bytes) { $at += syswrite($out, $bytes, length($bytes) - $at, $at) // die }`;

const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;

/** `iopl(3)`, and then `out 0x505, 2` for ever: each tells the panic device of x86 of a crash that ends nothing. */
const CODE = 'b8ac000000 bf03000000 0f05 66ba0505 b002 ee ebfd';

/** Static program for x86-64, elf(5), that causes events of its QEMU without end. */
export function makeEventFlood(): Buffer {
  const program = Buffer.concat([Buffer.alloc(HEADERS_BYTES), Buffer.from(CODE.replaceAll(' ', ''), 'hex')]);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // An executable for x86-64, of version 1, with one program header.
  program.set([2, 0, 62, 0, 1], 16);
  program.writeBigUInt64LE(BigInt(LOAD_ADDRESS + HEADERS_BYTES), 24);
  program.set([64], 32);
  program.set([64, 0, 56, 0, 1], 52);
  // The whole file is loaded, readable and executable.
  program.set([1, 0, 0, 0, 5], 64);
  for (const at of [80, 88]) program.writeBigUInt64LE(BigInt(LOAD_ADDRESS), at);
  for (const at of [96, 104]) program.writeBigUInt64LE(BigInt(program.length), at);
  program.writeBigUInt64LE(0x1000n, 112);
  return program;
}
