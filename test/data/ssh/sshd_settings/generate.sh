#!/bin/sh
# Writes `printed`; by root, who alone may ask sshd for its configuration.
set -eu
cd "$(dirname "$0")"
keys=/tmp/sshd-settings-keys
mkdir "$keys"
for name in plain 'with blanks in it'; do
    ssh-keygen -q -t ecdsa -N '' -f "$keys/$name"
done
printf '%s\n' 'HostKeyAgent /run/ssh-tpm-agent/agent.sock' "HostKey $keys/plain" "HostKey \"$keys/with blanks in it\"" > "$keys/config"
/usr/sbin/sshd -T -f "$keys/config" > printed
rm -r "$keys"
