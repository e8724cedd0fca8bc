#!/usr/bin/env bash
# Gets the programs that only tests run: the log shippers rsyslog and syslog-ng, a registry of images with skopeo, umoci
# and the checker of EROFS, and the tools of systemd and openssl where the host has none. Says nothing and takes no time when they are
# there.
#
# On Debian and Ubuntu the packages are not installed but unpacked into the home's test-packages/: the shippers conflict
# with each other, and installing one would replace and stop the syslog service of the host. Elsewhere the programs of
# the host are used, and the script says what to install.
set -euo pipefail

packages=(rsyslog syslog-ng-core docker-registry skopeo erofs-utils umoci zstd)
programs=(rsyslogd syslog-ng docker-registry skopeo fsck.erofs umoci zstd)
# The host's go with the host's libraries.
if ! command -v systemd-notify >/dev/null || ! command -v systemd-analyze >/dev/null; then
  packages+=(systemd)
  programs+=(systemd-notify systemd-analyze)
fi
if ! command -v openssl >/dev/null; then
  packages+=(openssl)
  programs+=(openssl)
fi
readonly packages programs
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

# Writes bin/$2 into the folder $1: a script that runs that program out of the unpacked packages, with the arguments $3
# before its own. They may name $root. systemd-analyze finds the units of the package.
write_launcher() {
  cat >"$1/bin/$2" <<SCRIPT
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../root" && pwd) || exit
LD_LIBRARY_PATH=$(cd "$1/root" && find . \( -name 'lib*.so.[0-9]*' -o -name 'libsystemd-*.so' \) -printf '$root/%P\n' |
    sed 's|/[^/]*$||' | sort -u | paste -s -d :)
SYSTEMD_UNIT_PATH=\${SYSTEMD_UNIT_PATH:-\$root/lib/systemd/system:\$root/usr/lib/systemd/system}
export LD_LIBRARY_PATH SYSTEMD_UNIT_PATH
exec "\$root/$(folder_of "$1" "bin/$2")/$2" $3 "\$@"
SCRIPT
  chmod 0755 "$1/bin/$2"
}

# Path below root/ of the folder that has the file whose path ends in $2, in the folder $1.
folder_of() { (cd "$1/root" && find . -path "*$2" -printf '%P\n' -quit) | xargs -r dirname; }

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
  write_launcher "$unpacked" rsyslogd "-M \"\$root/$(folder_of "$unpacked" /imfile.so)\""
  # shellcheck disable=SC2016
  write_launcher "$unpacked" syslog-ng "--module-path=\"\$root/$(folder_of "$unpacked" /libaffile.so)\""
  "$unpacked/bin/rsyslogd" -v >/dev/null || die 'the rsyslogd of the package does not run here'
  "$unpacked/bin/syslog-ng" --version >/dev/null || die 'the syslog-ng of the package does not run here'
  local program
  for program in docker-registry skopeo fsck.erofs umoci zstd; do
    write_launcher "$unpacked" "$program" ''
    "$unpacked/bin/$program" "$([[ $program == *.erofs ]] && echo -V || echo --version)" >/dev/null ||
      die "the $program of the package does not run here"
  done
  if [[ " ${programs[*]} " == *' systemd-notify '* ]]; then
    write_launcher "$unpacked" systemd-notify ''
    write_launcher "$unpacked" systemd-analyze ''
    "$unpacked/bin/systemd-analyze" --version >/dev/null || die 'the systemd-analyze of the package does not run here'
  fi
  if [[ " ${programs[*]} " == *' openssl '* ]]; then
    write_launcher "$unpacked" openssl ''
    "$unpacked/bin/openssl" version >/dev/null || die 'the openssl of the package does not run here'
  fi
  rm -rf "$folder"
  mv -T "$unpacked" "$folder"
  trap - EXIT
}

have_programs "$folder/bin" && exit
if is_debian; then
  fetch_programs
elif ! have_programs "$PATH:/usr/sbin:/sbin"; then
  die "the tests need ${programs[*]} (rsyslogd with imfile): install them, or run the tests on Debian or Ubuntu"
fi
