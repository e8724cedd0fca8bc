#!/usr/bin/env bash
# Makes this host and this checkout ready to run microVMs: finds what is there and installs what is missing. Says
# nothing and takes no time when nothing is. As root on Debian and Ubuntu packages are installed; elsewhere it says
# what to install, by role. `monocore setup` runs it with --host: for the host and the home, without the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage='usage: scripts/setup.sh [--host]
  --host  prepare the host only: install no npm packages and build nothing'

checkout=yes
case $* in
  '') ;;
  --host) checkout=no ;;
  -h | --help)
    echo "$usage"
    exit
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac

home=${MONOCORE_HOME:-$HOME/.monocore}

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# First executable file among the arguments.
first_executable() {
  local path
  for path in "$@"; do
    if [[ -f $path && -x $path ]]; then
      printf '%s\n' "$path"
      return
    fi
  done
  return 1
}

# ---- Node.js ----------------------------------------------------------------------------------------------------

check_node() {
  have node || die 'Node.js 20.19 or newer is needed, and there is no node in PATH'
  local found major minor
  found=$(node --version)
  IFS=. read -r major minor _ <<<"${found#v}"
  if ((major < 20 || (major == 20 && minor < 19))); then
    die "Node.js 20.19 or newer is needed, this is $found"
  fi
}

# ---- Programs of the host ---------------------------------------------------------------------------------------

case $(uname -m) in
  x86_64)
    qemu=qemu-system-x86_64 qemu_package=qemu-system-x86 kernel_flavour=amd64
    ;;
  aarch64 | arm64)
    qemu=qemu-system-aarch64 qemu_package=qemu-system-arm kernel_flavour=arm64
    ;;
  *) die "microVMs need x86-64 or aarch64; this is $(uname -m)" ;;
esac

# It runs in an initramfs, where there are no shared libraries.
have_static_busybox() {
  local path
  for path in "$(type -P busybox || true)" "$(type -P busybox-static || true)" \
    /bin/busybox /usr/bin/busybox /usr/lib/busybox-static/busybox; do
    [[ -f $path && -x $path ]] || continue
    # ldd fails on a static program, but says that it is one.
    [[ $(LC_ALL=C ldd "$path" 2>&1 || true) =~ ([Nn]ot a (valid )?dynamic|statically linked) ]] && return 0
  done
  return 1
}

# It is for administrators: the PATH of a user may lack its folder.
have_mkfs() {
  have mkfs.ext4 || first_executable /usr/sbin/mkfs.ext4 /sbin/mkfs.ext4 >/dev/null
}

have_virtiofsd() {
  have virtiofsd || first_executable /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd /usr/libexec/qemu/virtiofsd >/dev/null
}

# On Debian 12 virtiofsd is part of QEMU's own packages; later releases have a package for it.
virtiofsd_package() {
  if have apt-cache && [[ -z $(apt-cache madison virtiofsd 2>/dev/null) ]]; then
    echo qemu-system-common
  else
    echo virtiofsd
  fi
}

# Roles that nothing on this host fills: one line each, the package in Debian's words, a tab, what it is for.
missing_roles() {
  have "$qemu" || printf '%s\t%s, which runs the VMs\n' "$qemu_package" "$qemu"
  have qemu-img || printf 'qemu-utils\tqemu-img, which makes disks for VMs\n'
  have_mkfs || printf 'e2fsprogs\tmkfs.ext4, which makes the disks of services\n'
  have_static_busybox || printf 'busybox-static\ta statically linked busybox, for the guests\n'
  have_virtiofsd || printf '%s\tvirtiofsd, which shares host folders with guests\n' "$(virtiofsd_package)"
  have slirp4netns || printf 'slirp4netns\tslirp4netns, by which guests reach other hosts\n'
  [[ ! -f scripts/quickstart.sh ]] || have curl || printf 'curl\tcurl, for scripts/quickstart.sh\n'
}

is_debian() {
  have apt-get && have dpkg-deb && grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release 2>/dev/null
}

apt_updated=no
update_apt() {
  [[ $apt_updated == yes ]] && return
  say 'updating the package lists'
  apt-get update -qq
  apt_updated=yes
}

install_programs() {
  [[ -n $(missing_roles) ]] || return 0
  if ! is_debian || ((EUID != 0)); then
    report_missing
    return
  fi
  update_apt
  # Only now is it known which packages this release has.
  local packages
  mapfile -t packages < <(missing_roles | cut -f 1 | sort -u)
  say "installing ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
  [[ -z $(missing_roles) ]] || report_missing
}

report_missing() {
  ready=no
  {
    echo 'setup: this host lacks, with the name of the package in Debian and Ubuntu:'
    missing_roles | while IFS=$'\t' read -r package role; do printf '  %-20s %s\n' "$package" "$role"; done
    if is_debian; then
      printf '  Run this again as root, or: sudo apt-get install --no-install-recommends %s\n' \
        "$(missing_roles | cut -f 1 | sort -u | paste -s -d ' ')"
    fi
  } >&2
}

# ---- Kernel of the guests ---------------------------------------------------------------------------------------

have_kernel() {
  local image
  for image in "$home"/kernel/boot/vmlinuz-*; do
    [[ -r $image ]] && return 0
  done
  for image in /boot/vmlinuz-*; do
    [[ -r $image && -d /lib/modules/${image#/boot/vmlinuz-} ]] && return 0
  done
  return 1
}

# Packages that the package $1 depends on and whose names match $2, one a line.
dependencies_of() { apt-cache depends "$1" 2>/dev/null | awk -v name="$2" '/Depends:/ && $2 ~ name { print $2 }'; }

# Packages with the newest kernel for VMs and its modules: $1 is the package that always depends on it.
kernel_packages() {
  local image
  image=$(dependencies_of "$1" '^linux-image-[0-9]' | head -n 1)
  [[ -n $image ]] || return 1
  printf '%s\n' "$image"
  # Ubuntu keeps the modules in a package of their own.
  dependencies_of "$image" '^linux-(modules|binary)-[0-9]'
}

# Unpacks a kernel below the home. It is not installed: the host keeps booting its own.
fetch_kernel() {
  local meta=linux-image-cloud-$kernel_flavour packages
  grep -q '^ID=ubuntu' /etc/os-release && meta=linux-image-virtual
  packages=$(kernel_packages "$meta") || {
    ((EUID == 0)) && update_apt
    packages=$(kernel_packages "$meta") || die "no package of $meta is known here: run apt-get update as root"
  }

  mkdir -p "$home/kernel/boot" "$home/kernel/lib/modules"
  # Beside its destination, so that moving it there is one step.
  local folder
  folder=$(mktemp -d "$home/kernel/.unpack-XXXXXX")
  # shellcheck disable=SC2064 # the folder of this moment
  trap "rm -rf '$folder'" EXIT
  say "downloading $(paste -s -d ' ' <<<"$packages") into $home/kernel"
  local -a options=(-qq)
  # Else apt warns that its own user cannot write into the folder.
  ((EUID == 0)) && options+=(-o APT::Sandbox::User=root)
  # The lists may be older than what the mirror has; xargs, as there is one package or a few.
  (cd "$folder" && xargs apt-get download "${options[@]}" <<<"$packages") || {
    ((EUID == 0)) || die "the download failed; run apt-get update as root first"
    update_apt
    packages=$(kernel_packages "$meta")
    (cd "$folder" && xargs apt-get download "${options[@]}" <<<"$packages")
  }

  local package
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
  move_kernel "$folder/root"
  rm -rf "$folder"
  trap - EXIT
}

# Moves what was unpacked in $1 into place, the image last: where it is, its modules are.
move_kernel() {
  local image version modules
  image=$(find "$1/boot" -maxdepth 1 -name 'vmlinuz-*' -print -quit)
  [[ -n $image ]] || die 'the kernel package has no boot/vmlinuz-*'
  version=${image##*/vmlinuz-}
  for modules in "$1/lib/modules/$version" "$1/usr/lib/modules/$version"; do
    [[ -d $modules ]] || continue
    rm -rf "$home/kernel/lib/modules/$version"
    mv -T "$modules" "$home/kernel/lib/modules/$version"
  done
  # Ubuntu's are for root only.
  chmod 0644 "$image"
  mv -T "$image" "$home/kernel/boot/vmlinuz-$version"
}

install_kernel() {
  have_kernel && return
  if is_debian; then
    fetch_kernel
    return
  fi
  ready=no
  cat >&2 <<TEXT
setup: there is no kernel for the guests: neither in $home/kernel/boot nor a readable one with modules in /boot.
  Unpack a kernel package of any distribution so that these exist, or name an image with "kernel" in the config:
    $home/kernel/boot/vmlinuz-<version>
    $home/kernel/lib/modules/<version>
TEXT
}

# ---- This checkout ----------------------------------------------------------------------------------------------

build_checkout() {
  # npm would empty the folder behind a link, which is another checkout's.
  if [[ ! -L node_modules ]] &&
    [[ ! -f node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
    say 'installing the npm packages'
    npm ci --no-audit --no-fund --loglevel=error
  fi
  npm run --silent build -- --if-changed
}

check_node
# Both are looked at before the script gives up, so that everything that lacks is told at once.
ready=yes
install_programs
install_kernel
[[ $ready == yes ]] || exit 1
[[ $checkout == no ]] || build_checkout
