/** A program for root in a guest: it comes by a port of the VM and floods it. */

/**
 * `perl -e FLOOD_PROGRAM <port> <text>`: writes the text to a port for ever. The port is a device, or a descriptor of the
 * guest's init, which pidfd_getfd(2) copies. For a root of `makePerlRoot`.
 */
export const FLOOD_PROGRAM = `
  my ($port, $text) = @ARGV;
  my $mode = $port =~ m(^/) ? '>' : '>&=';
  $port = syscall(438, syscall(434, 1, 0), $port + 0, 0) if $mode ne '>';
  open(my $out, $mode, $port) or die "no port: $!";
  my $bytes = "$text\\n" x 1000;
  syswrite($out, $bytes) while 1;`;
