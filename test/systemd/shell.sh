#!/bin/bash
# Runs in the machine. Each line of the port is a script in base64; the answer is a line with its exit status and, in
# base64, its output. A file takes the output, so that a process which the script leaves behind holds nothing up.
exec 3<>/dev/virtio-ports/test.shell
export HOME=/root LANG=C.UTF-8
cd /root || exit
number=0
while read -r line <&3; do
  number=$((number + 1))
  base64 -d <<<"$line" >/run/test-script
  bash /run/test-script </dev/null >"/run/test-output.$number" 2>&1
  printf '%s %s\n' "$?" "$(base64 -w0 "/run/test-output.$number")" >&3
  rm -f "/run/test-output.$number"
done
