# Starts a VM without monocore: `boot.pl <folder>`, whose `command` has QEMU's arguments, separated by NUL, and whose `job`
# is what the guest is told to run. Ends when the first line has come; QEMU's pid is in `pid` then.
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

my @command = split /\0/, slurp('command');
my $job = slurp('job');
my $pid = fork // die "fork: $!";
if ($pid == 0) {
  POSIX::setsid();
  # Standard output and error are the console's, the guest's streams follow: see CHILD_FDS of the driver.
  my %files = (1 => 'console', 2 => 'console', 3 => 'stdout', 4 => 'stderr', 5 => 'console');
  for my $number (sort keys %files) {
    my $fd = POSIX::open($files{$number}, O_WRONLY | O_CREAT | O_APPEND, 0600) // die "$files{$number}: $!";
    next if $fd == $number;
    POSIX::dup2($fd, $number) // die "dup2: $!";
    POSIX::close($fd) if $fd > 5;
  }
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
print $control "hello\n";
while (my $line = <$control>) {
  last if $line eq "ready\n";
}
print $control 'job ' . length($job) . "\n$job";
until (-s 'stdout') { select undef, undef, undef, 0.005 }
