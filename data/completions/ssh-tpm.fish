# SPDX-License-Identifier: MIT
# fish completion for ssh-tpm and its applets; fish reads it by the name of each of the seven commands.

# True when the command line is that of an applet: by the first word behind ssh-tpm.
function __ssh_tpm_is --argument-names applet
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test "$words[2]" = $applet
end

# True when the command line is that of a command of attest, by either name; without one, when it has no command yet.
function __ssh_tpm_attests --argument-names command
    set -l words (commandline -opc)
    if test "$words[1]" = ssh-tpm
        test "$words[2]" = attest; or return 1
        set -e words[1]
    end
    test "$words[2]" = "$command"
end

# __ssh_tpm_attest COMMAND ARGUMENT…: `complete` for both names of a command of attest.
function __ssh_tpm_attest --argument-names command
    complete -c ssh-tpm-attest -n "__ssh_tpm_attests $command" $argv[2..-1]
    complete -c ssh-tpm -n "__ssh_tpm_attests $command" $argv[2..-1]
end

function __ssh_tpm_has_no_applet
    test (count (commandline -opc)) -eq 1
end

# __ssh_tpm APPLET ARGUMENT…: `complete` for both names of an applet.
function __ssh_tpm --argument-names applet
    complete -c ssh-tpm-$applet $argv[2..-1]
    complete -c ssh-tpm -n "__ssh_tpm_is $applet" $argv[2..-1]
end

# The sizes of the key type that stands on the line.
function __ssh_tpm_bits
    if string match -qr -- '\s-t\s*rsa\b' (commandline -p | string collect)
        printf '%s\n' 2048 3072 4096
    else
        printf '%s\n' 256 384 521
    end
end

# Folders and key files.
function __ssh_tpm_key_files
    __fish_complete_path (commandline -ct | string replace -r '^-[^=]*=' '') | string match -er '(?:/|\.tpm)(?:\t|$)'
end

# What is still to be a command's name, and what is its arguments, for the agent.
function __ssh_tpm_command
    set -l words (commandline -opc)[2..-1]
    test "$words[1]" = agent; and set -e words[1]
    while set -q words[1]; and string match -q -- '-*' $words[1]
        contains -- $words[1] -a -l -A -t -E --key-dir --hierarchy --pin-lifetime --tcti --owner-password-file; and set -e words[1]
        set -q words[1]; and set -e words[1]
    end
    set -l rest (commandline -ct)
    complete -C "$words $rest"
end

set -l hierarchies 'endorsement\t"derived from the TPM\'s identity" owner\t"lost when the TPM is cleared" platform\t"the firmware\'s" null\t"lost at every reset"'
set -l hashes 'sha256 md5'
set -l times '10m 1h 8h 1d'
set -l key_files '(__ssh_tpm_key_files)'
set -l tctis 'device:/dev/tpmrm0 swtpm: mssim: tabrmd:'

complete -c ssh-tpm -f
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a keygen -d 'Make keys in the TPM, and look at them'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a agent -d 'Serve the keys to ssh'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a add -d 'Add keys to a running agent'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a hostkeys -d 'Keep sshd\'s host keys in the TPM'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a attest -d 'Show a certificate authority that keys are in a TPM'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a doctor -d 'Check the TPM, the agent and the key files'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -a help -d 'List the applets'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -l help -d 'List the applets'
complete -c ssh-tpm -n __ssh_tpm_has_no_applet -l version -d 'Print the version'

for applet in keygen agent hostkeys doctor
    __ssh_tpm $applet -l tcti -x -a "$tctis" -d 'The TPM, as tpm2-tss names it'
    __ssh_tpm $applet -l swtpm -d 'An emulator, for trying things out'
end
for applet in keygen agent hostkeys
    __ssh_tpm $applet -s o -l owner-password -d 'Ask for the owner password'
    __ssh_tpm $applet -l owner-password-file -r -F -d 'File of the owner password'
end
for applet in keygen agent hostkeys doctor
    __ssh_tpm $applet -s h -l help -d 'Show the help'
end
for applet in keygen agent add hostkeys doctor
    __ssh_tpm $applet -s V -l version -d 'Print the version'
end

__ssh_tpm keygen -f
__ssh_tpm keygen -s t -x -a 'ecdsa rsa' -d 'Type of key'
__ssh_tpm keygen -s b -x -a '(__ssh_tpm_bits)' -d 'Size of key'
__ssh_tpm keygen -s C -x -d 'Comment'
__ssh_tpm keygen -s f -r -k -a "$key_files" -d 'Key file'
__ssh_tpm keygen -s N -x -d 'New PIN'
__ssh_tpm keygen -s P -x -d 'Old PIN, or passphrase'
__ssh_tpm keygen -l pin-file -r -F -d 'File of the new PIN'
__ssh_tpm keygen -l old-pin-file -r -F -d 'File of the old PIN, or of the passphrase'
__ssh_tpm keygen -s q -d 'Print only errors and warnings'
__ssh_tpm keygen -s v -d 'Show the randomart too'
__ssh_tpm keygen -s E -x -a "$hashes" -d 'Hash of the fingerprint'
__ssh_tpm keygen -l parent-handle -x -a "$hierarchies 0x81000001" -d 'The parent of the key'
__ssh_tpm keygen -s p -d 'Change the PIN'
__ssh_tpm keygen -s c -d 'Change the comment'
__ssh_tpm keygen -s l -d 'Show the fingerprint'
__ssh_tpm keygen -s y -d 'Print the public key'
__ssh_tpm keygen -l print-pubkey -r -k -a "$key_files" -d 'Print the public key of a file'
__ssh_tpm keygen -s A -d 'Make the host keys that are missing'
__ssh_tpm keygen -l hierarchy -x -a "$hierarchies" -d 'Host keys derived from a hierarchy'
__ssh_tpm keygen -s I -l import -r -F -d 'Seal an existing private key'
__ssh_tpm keygen -l wrap -r -F -d 'Wrap a private key for another TPM'
__ssh_tpm keygen -l wrap-with -r -F -d 'The storage key of that TPM'
__ssh_tpm keygen -l supported -d 'List what this TPM can make'

__ssh_tpm agent -f -a '(__ssh_tpm_command)'
__ssh_tpm agent -s a -r -F -d 'Socket to listen on'
__ssh_tpm agent -s l -r -F -d 'Socket to listen on'
__ssh_tpm agent -s A -r -F -d 'Socket of an upstream agent'
__ssh_tpm agent -l key-dir -x -a '(__fish_complete_directories)' -d 'Folder of keys'
__ssh_tpm agent -l no-load -d 'Load no keys'
__ssh_tpm agent -l hierarchy -x -a "$hierarchies" -d 'Serve the host keys of a hierarchy'
__ssh_tpm agent -s t -x -a "$times" -d 'How long keys are held'
__ssh_tpm agent -l confirm -d 'Ask before each use of a key'
__ssh_tpm agent -l confirm-loaded -d 'Ask before each use of a key'
__ssh_tpm agent -l pin-lifetime -x -a "$times" -d 'How long PINs are kept'
__ssh_tpm agent -l no-cache -d 'Keep no PINs'
__ssh_tpm agent -l no-seal -d 'Take no private keys of ssh-add'
__ssh_tpm agent -l no-sandbox -d 'Let the agent do all that its user may'
__ssh_tpm agent -s D -d 'Stay in the foreground'
__ssh_tpm agent -s d -d 'Stay in the foreground, and log more'
__ssh_tpm agent -s s -d 'Go to the background and print shell commands'
__ssh_tpm agent -s c -d 'Go to the background and print C shell commands'
__ssh_tpm agent -s E -x -a sha256 -d 'Hash of fingerprints'
__ssh_tpm agent -s U -d 'Leave the sockets of killed agents'
__ssh_tpm agent -s k -d 'End the agent of SSH_AGENT_PID or of the socket'
__ssh_tpm agent -l print-socket -d 'Print the path of the socket'
__ssh_tpm agent -l install-user-units -d 'Install systemd user units'
__ssh_tpm agent -l install-system -d 'Install them for all users'
__ssh_tpm agent -l force -d 'Replace changed units too'

__ssh_tpm add -f -k -a "$key_files"
__ssh_tpm add -s t -x -a "$times" -d 'The agent forgets the keys after this time'
__ssh_tpm add -s c -d 'Confirm each use'
__ssh_tpm add -s h -x -a '(__fish_print_hostnames)' -d 'Where the keys may log in'
__ssh_tpm add -s H -r -F -d 'A known_hosts file for -h'
__ssh_tpm add -l pin -d 'Ask for the PIN here'
__ssh_tpm add -l pin-file -r -F -d 'File of the PIN'
__ssh_tpm add -s k -d 'Keys alone'
__ssh_tpm add -s C -d 'Certificates alone'
__ssh_tpm add -s N -d 'Add expired certificates too'
__ssh_tpm add -s E -x -a "$hashes" -d 'Hash of the fingerprints'
__ssh_tpm add -s q -d 'Say nothing of success'
__ssh_tpm add -s d -d 'Remove keys'
__ssh_tpm add -s D -d 'Remove all keys'
__ssh_tpm add -s l -d 'List fingerprints'
__ssh_tpm add -s L -d 'List public keys'
__ssh_tpm add -s Q -d 'List extensions'
__ssh_tpm add -s T -d 'Test whether the agent signs'
__ssh_tpm add -s x -d 'Lock the agent'
__ssh_tpm add -s X -d 'Unlock the agent'
__ssh_tpm add -s v -d 'Tell what is done'
__ssh_tpm add -l help -d 'Show the help'

__ssh_tpm hostkeys -f
__ssh_tpm hostkeys -l socket -r -F -d 'Socket of the agent'
__ssh_tpm hostkeys -l hierarchy -x -a "$hierarchies" -d 'Agent of the host keys of a hierarchy'
__ssh_tpm hostkeys -l check -d 'Tell whether host keys work'
__ssh_tpm hostkeys -l json -d 'Print the results as JSON'
__ssh_tpm hostkeys -l install-system-units -d 'Install systemd units'
__ssh_tpm hostkeys -l install-sshd-config -d 'Install a file for sshd'
__ssh_tpm hostkeys -l uninstall -d 'Remove what was installed'
__ssh_tpm hostkeys -l force -d 'Replace changed files too'
__ssh_tpm hostkeys -l renew -d 'Replace keys of a TPM that was cleared'
__ssh_tpm hostkeys -l yes -d 'Do not ask'

__ssh_tpm doctor -f
__ssh_tpm doctor -l json -d 'Print one JSON object'

complete -c ssh-tpm-attest -f
__ssh_tpm_attest '' -a request -d 'Ask for certificates of keys in this TPM'
__ssh_tpm_attest '' -a install -d 'Open the answer, and put the certificates beside the keys'
__ssh_tpm_attest '' -a verify -d 'Check requests'
__ssh_tpm_attest '' -a sign -d 'Check a request, sign its keys, and seal the certificates'
__ssh_tpm_attest '' -a seal -d 'Check a request, and seal certificates that were made for it'
__ssh_tpm_attest '' -a check -d 'Check which boot a host is in'
__ssh_tpm_attest '' -a ssh -d 'Check it, and log in if it is the accepted one'
__ssh_tpm_attest '' -a serve -d 'Answer such checks'
for command in '' request install verify sign check ssh serve seal
    __ssh_tpm_attest "$command" -l help -d 'Show the help'
    __ssh_tpm_attest "$command" -l version -d 'Print the version'
end
for command in request install verify check ssh serve seal
    __ssh_tpm_attest $command -s h -d 'Show the help'
    __ssh_tpm_attest $command -s V -d 'Print the version'
end
for command in request install serve
    __ssh_tpm_attest $command -l tcti -x -a "$tctis" -d 'The TPM, as tpm2-tss names it'
    __ssh_tpm_attest $command -l swtpm -d 'An emulator, for trying things out'
end
for command in verify sign seal
    __ssh_tpm_attest $command -l ek-roots -x -a '(__fish_complete_directories)' -d 'Folder of certificates of TPM makers'
    __ssh_tpm_attest $command -l ek-known -r -F -d 'File of the Names of known endorsement keys'
    __ssh_tpm_attest $command -l nonce -x -d 'The text that the request was made for'
    __ssh_tpm_attest $command -l max-age -x -a '10m 1h 24h 7d' -d 'How old a request may be'
    __ssh_tpm_attest $command -l allow-no-eku -d 'Take certificates without extended key usage'
end
for command in sign seal
    __ssh_tpm_attest $command -l receipts -r -F -d 'File to which the receipt is added'
end
for command in install verify sign seal
    __ssh_tpm_attest $command -F
end
for command in check ssh
    __ssh_tpm_attest $command -a '(__fish_print_hostnames)'
    __ssh_tpm_attest $command -l pcrs -x -a 'sha256:0-9,11,12 sha384:0-9,11,12' -d 'The PCRs to ask for'
    __ssh_tpm_attest $command -l enrolled -r -F -d 'File of enrolled attestation keys'
    __ssh_tpm_attest $command -l accept -d 'Ask whether another boot is right'
    __ssh_tpm_attest $command -l yes -d 'Do not ask'
end

__ssh_tpm_attest request -s f -r -k -a "$key_files" -d 'Key file'
__ssh_tpm_attest request -s A -d 'The host keys'
__ssh_tpm_attest request -l hierarchy -x -a "$hierarchies" -d 'Host keys of a hierarchy'
__ssh_tpm_attest request -l host -x -d 'Name of this machine in the request'
__ssh_tpm_attest request -l nonce -x -d 'A fresh text of the certificate authority'
__ssh_tpm_attest request -l pin-file -r -F -d 'File of the PIN'
__ssh_tpm_attest request -s o -l owner-password -d 'Ask for the owner password'
__ssh_tpm_attest request -l owner-password-file -r -F -d 'File of the owner password'

__ssh_tpm_attest install -l ca -r -F -d 'Public key of the certificate authority'
__ssh_tpm_attest install -l force -d 'Replace a newer certificate'

__ssh_tpm_attest serve -l key-dir -x -a '(__fish_complete_directories)' -d 'Folder of the host keys'
__ssh_tpm_attest serve -l hierarchy -x -a "$hierarchies" -d 'Host keys of a hierarchy'
__ssh_tpm_attest serve -l event-log -r -F -d 'The log of the firmware'
__ssh_tpm_attest serve -l socket -r -F -d 'Socket of the service that answers'

__ssh_tpm_attest verify -l json -d 'Print a JSON object for each request'

__ssh_tpm_attest sign -s s -r -F -d 'Key of the certificate authority'
__ssh_tpm_attest sign -s U -d 'The key is in an agent'
__ssh_tpm_attest sign -s h -d 'Make host certificates'
__ssh_tpm_attest sign -s n -x -d 'Principals'
__ssh_tpm_attest sign -s I -x -d 'Key identity'
__ssh_tpm_attest sign -s V -x -a '-5m:+1d -5m:+30d -5m:+52w' -d 'Time in which the certificates are valid'
__ssh_tpm_attest sign -s z -x -d 'Serial number'
__ssh_tpm_attest sign -s O -x -a 'clear no-agent-forwarding no-port-forwarding no-pty no-user-rc no-x11-forwarding' -d 'Option of the certificates'
