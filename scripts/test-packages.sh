#!/usr/bin/env bash
# Gets the log shippers that test/e2e/shippers.test.ts runs: rsyslog and syslog-ng. Says nothing and takes no time when
# they are there.
#
# On Debian and Ubuntu the packages are not installed but unpacked into the home's test-packages/: each conflicts with
# the other, and installing one would replace and stop the syslog service of the host. Elsewhere the programs of the
# host are used, and the script says what to install.
set -euo pipefail

readonly packages=(rsyslog syslog-ng-core)
readonly programs=(rsyslogd syslog-ng)
home=${MONOCORE_HOME:-$HOME/.monocore}
folder=$home/test-packages

say() { printf 'test-packages: %s\n' "$*"; }
die() {
  printf 'test-packages: %s\n' "$*" >&2
  exit 1
}

is_debian() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null &&
    grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release 2>/dev/null
}

# Whether each program is an executable file in one of the folders.
have_programs() {
  local program path
  for program in "${programs[@]}"; do
    path=$(PATH=$1 type -P "$program") && [[ -x $path ]] || return 1
  done
}

# The packages and those libraries of theirs that this host lacks. Asked of each alone, as they conflict. What is
# installed is left out even where a newer version exists: a second libc beside the host's would not work.
needed_packages() {
  local package
  printf '%s\n' "${packages[@]}"
  for package in "${packages[@]}"; do
    apt-get -s --no-install-recommends install "$package" | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }'
  done
}

# Downloads into the folder $1.
download() {
  local -a options=(-qq)
  # Else apt warns that its own user cannot write into the folder.
  ((EUID == 0)) && options+=(-o APT::Sandbox::User=root)
  needed_packages | sort -u | (cd "$1" && xargs apt-get download "${options[@]}")
}

# Writes bin/$2 into the folder $1: a script that runs sbin's $2 out of the unpacked packages, with the arguments $3
# before its own. They may name $root.
write_launcher() {
  cat >"$1/bin/$2" <<SCRIPT
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../root" && pwd) || exit
LD_LIBRARY_PATH=$(cd "$1/root" && find . -name 'lib*.so.[0-9]*' -printf '$root/%P\n' | sed 's|/[^/]*$||' | sort -u |
    paste -s -d :)
export LD_LIBRARY_PATH
exec "\$root/usr/sbin/$2" $3 "\$@"
SCRIPT
  chmod 0755 "$1/bin/$2"
}

# Path below root/ of the folder that has the file $2, in the folder $1.
folder_of() { (cd "$1/root" && find . -name "$2" -printf '%P\n' -quit) | xargs -r dirname; }

fetch_programs() {
  mkdir -p "$home"
  local unpacked package
  # Beside its destination, so that moving it there is one step.
  unpacked=$(mktemp -d "$home/.test-packages-XXXXXX")
  # shellcheck disable=SC2064 # the folder of this moment
  trap "rm -rf '$unpacked'" EXIT
  mkdir "$unpacked/debs" "$unpacked/root" "$unpacked/bin"
  say "downloading ${packages[*]} into $folder"
  download "$unpacked/debs" 2>/dev/null || {
    ((EUID == 0)) || die 'the download failed; run apt-get update as root first'
    say 'updating the package lists'
    apt-get update -qq
    download "$unpacked/debs"
  }
  for package in "$unpacked"/debs/*.deb; do dpkg-deb -x "$package" "$unpacked/root"; done
  rm -r "$unpacked/debs"
  # shellcheck disable=SC2016 # the launcher's $root
  write_launcher "$unpacked" rsyslogd "-M \"\$root/$(folder_of "$unpacked" imfile.so)\""
  # shellcheck disable=SC2016
  write_launcher "$unpacked" syslog-ng "--module-path=\"\$root/$(folder_of "$unpacked" libaffile.so)\""
  "$unpacked/bin/rsyslogd" -v >/dev/null || die 'the rsyslogd of the package does not run here'
  "$unpacked/bin/syslog-ng" --version >/dev/null || die 'the syslog-ng of the package does not run here'
  rm -rf "$folder"
  mv -T "$unpacked" "$folder"
  trap - EXIT
}

have_programs "$folder/bin" && exit
if is_debian; then
  fetch_programs
elif ! have_programs "$PATH:/usr/sbin:/sbin"; then
  die 'the tests need rsyslogd (with imfile) and syslog-ng: install both, or run them on Debian or Ubuntu'
fi
