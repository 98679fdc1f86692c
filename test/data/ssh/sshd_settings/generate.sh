#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes `printed`, `debug` and `debug-keys`; by root, who alone may ask sshd for its configuration.
set -eu
cd "$(dirname "$0")"
keys=/tmp/sshd-settings-keys
mkdir "$keys"
for name in plain 'with blanks in it'; do
    ssh-keygen -q -t ecdsa -N '' -f "$keys/$name"
done
printf '%s\n' 'HostKeyAgent /run/ssh-tpm-agent/agent.sock' "HostKey $keys/plain" "HostKey \"$keys/with blanks in it\"" > "$keys/config"
/usr/sbin/sshd -T -f "$keys/config" > printed
mkdir "$keys/drop-ins"
printf '%s\n' '# the first one' 'hostkeyagent=/run/first.sock # wins' 'HostKey /nowhere' > "$keys/drop-ins/10-first.conf"
printf '%s\n' "Include $keys/drop-ins/*.conf" '' '  HOSTKEYAGENT  "/run/second one.sock"' "HostKey $keys/plain" \
    'Port 22' 'Match User nobody' '  X11Forwarding no' > "$keys/config"
# Without the lines that change from run to run.
/usr/sbin/sshd -T -ddd -f "$keys/config" 2>&1 >/dev/null | grep -a "config\|drop-ins" > debug
ssh-keygen -q -t ed25519 -N '' -f "$keys/ed25519"
rm "$keys/plain"
ssh-agent -a "$keys/agent.sock" sh -c "
    printf '%s\\n' 'HostKeyAgent $keys/agent.sock' 'HostKey $keys/ed25519' 'HostKey $keys/none' 'HostKey $keys/plain' > $keys/config
    /usr/sbin/sshd -T -ddd -f $keys/config" 2>&1 >/dev/null | grep -a "host key" > debug-keys
rm -r "$keys"
