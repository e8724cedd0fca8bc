# Starts a VM without monocore and without a jail: `boot.pl <folder>`, whose `command` has QEMU's arguments and whose `files`
# has what QEMU finds open from descriptor 6 on, as words of a jail's specification, each ended by NUL. The guest is told
# what is in `hello`, and what is in `job` once it has said what is in `ready`. Ends when the first line has come; QEMU's pid
# is in `pid` then.
use strict;
use warnings;
use Fcntl;
use IO::Socket::UNIX;
use POSIX ();

my ($folder) = @ARGV;
chdir $folder or die "$folder: $!";

sub slurp {
  my ($path) = @_;
  open my $file, '<:raw', $path or die "$path: $!";
  local $/;
  return scalar <$file>;
}

# No descriptor is closed by exec.
$^F = 255;
my %flags = (read => O_RDONLY, write => O_RDWR, append => O_WRONLY | O_CREAT | O_APPEND);
my @sockets;

sub listen_on {
  my ($path) = @_;
  push @sockets, IO::Socket::UNIX->new(Local => $path, Listen => 1) // die "$path: $!";
  return fileno $sockets[-1];
}

my @command = split /\0/, slurp('command');
my ($hello, $ready, $job) = map { slurp($_) } qw(hello ready job);
my $pid = fork // die "fork: $!";
if ($pid == 0) {
  POSIX::setsid();
  my $number = 6;
  for my $word (split /\0/, slurp('files')) {
    my ($how, $path) = split /=/, $word, 2;
    my $fd = $how eq 'listen' ? listen_on($path) : POSIX::open($path, $flags{$how}, 0600) // die "$path: $!";
    POSIX::dup2($fd, $number++) // die "dup2: $!";
  }
  my $messages = POSIX::open('messages', O_WRONLY | O_CREAT | O_APPEND, 0600) // die "messages: $!";
  POSIX::dup2($messages, $_) // die "dup2: $!" for 1, 2;
  exec { $command[0] } @command or POSIX::_exit(127);
}
open my $pid_file, '>', 'pid' or die "pid: $!";
print $pid_file "$pid\n";
close $pid_file;

my $control;
until ($control = IO::Socket::UNIX->new(Peer => 'control.sock')) {
  die "QEMU has ended\n" if waitpid($pid, POSIX::WNOHANG()) != 0;
  select undef, undef, undef, 0.005;
}
$control->autoflush(1);
print $control $hello;
my $said = '';
until (index($said, $ready) >= 0) { sysread $control, $said, 65536, length $said or die "QEMU has ended\n" }
print $control $job;
until (-s 'stdout.fifo') { select undef, undef, undef, 0.005 }
