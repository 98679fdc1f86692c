# SPDX-License-Identifier: MIT
"""What test/vm does with the machine, and what it expects. The steps run in this order, each also after a failed
one."""

import json
import re
import shlex
import textwrap

from documents import block, commands, one_of
from people import PLAIN
from tree import PASSWORD, Failed

PIN = '135790'
HOST_AGENT = '/run/ssh-tpm-agent/agent.sock'
HOST_UNIT = 'ssh-tpm-hostkeys.service'
USER_UNIT = 'ssh-tpm-agent.service'
FILE_KEY = '-i ~/.ssh/id_file -o IdentitiesOnly=yes -o IdentityAgent=none'

STEPS = []


def step(title, only=None):
    """A step of both machines, or of one kind of them."""
    def add(function):
        STEPS.append((title, only, function))
        return function
    return add


def show(guest, property_, unit=HOST_UNIT):
    """A property of the system's unit, or of the user's."""
    script = f'systemctl {"--user " if unit == USER_UNIT else ""}show -P {property_} {unit}'
    return (guest.me if unit == USER_UNIT else guest.root)(script).strip()


# A machine as it was installed


@step('boot: all units are up')
def boot(guest):
    guest.equal('systemctl is-system-running --wait', 'running')
    if guest.kind == 'qemu':
        guest.equal('stat -c "%U:%G %a" /dev/tpmrm0', 'tss:tss 660')
    guest.root('tpm2_getcap properties-fixed')


@step('install: the packages, which enable nothing')
def install(guest):
    guest.root('apt-get install -y /root/*.deb', deadline=300)
    guest.equal("systemctl list-unit-files --no-legend 'ssh-tpm*' | awk '$2 == \"enabled\"'", '')
    guest.equal("systemctl --global list-unit-files --no-legend 'ssh-tpm*' | awk '$2 == \"enabled\"'", '')


@step('journal after it')
def quiet_install(guest):
    return guest.quiet()


# Host keys and a user's keys, by README


@step('host keys: the commands of docs/host-keys.md')
def host_keys(guest):
    lines = commands('docs/host-keys.md', 'systemd-sysusers')
    guest.typed('root', *('$ ' + line for line in lines), deadline=240)
    guest.check()
    guest.know_host()


@step('host keys: --check --json')
def host_keys_json(guest):
    report = json.loads(guest.root('ssh-tpm hostkeys --check --json'))
    if report['status'] != 'ok' or {check['status'] for check in report['checks']} != {'ok'}:
        raise Failed(json.dumps(report, indent=1))
    return f'{len(report["checks"])} checks'


@step('user: a key without a PIN, and one in a file')
def more_keys(guest):
    export = one_of(commands('README.md', 'ssh-tpm keygen'), 'export SSH_AUTH_SOCK=')
    guest.root('usermod -aG tss me && systemctl stop me.service user@1000.service && systemctl start me.service')
    guest.root(f'echo {shlex.quote(export)} >>~me/.profile')
    guest.me("ssh-tpm keygen -q -N '' -f ~/.ssh/id_plain && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_file && "
             'cat ~/.ssh/id_plain.pub ~/.ssh/id_file.pub >~/.ssh/authorized_keys')


@step('user: the commands of README.md, with a PIN')
def user(guest):
    once = commands('README.md', 'ssh-tpm keygen')
    daily = commands('README.md', 'ssh me@server')
    export = one_of(once, 'export SSH_AUTH_SOCK=')
    guest.typed('me',
                '$ ' + one_of(once, 'ssh-tpm keygen'), '? Enter file .*: => ', f'? Enter passphrase .*: => {PIN}',
                f'? Enter same passphrase again: => {PIN}',
                '$ ' + one_of(once, 'ssh-copy-id'), f"? password: => {PASSWORD}",
                '$ ' + one_of(once, 'systemctl --user'),
                '$ ' + export,
                '$ ' + one_of(daily, 'ssh-tpm add --pin'), f'? Enter passphrase for .*: => {PIN}',
                '$ ' + one_of(daily, 'ssh me@server'), '? me@server.*\\$ => exit',
                '$ ' + one_of(daily, 'ssh-add -x'), '? Enter lock password: => lock', '? Again: => lock',
                '$ ssh-add -X', '? Enter lock password: => lock')


@step('login: keys in the TPM on both sides')
def login(guest):
    guest.logins(4)


@step('journal after it')
def quiet_keys(guest):
    return guest.quiet()


# Which boot the machine is in


CHECK, SESSION = (f'ssh-tpm attest {command} {PLAIN} server' for command in ('check', 'ssh'))


@step('attest: the commands of docs/attestation.md, and a first check', only='qemu')
def attest(guest):
    guest.typed('root', *('$ ' + line for line in commands('docs/attestation.md', 'systemd-sysusers')), deadline=240)
    guest.check()
    guest.typed('me', '$ ' + CHECK, '? the right one .yes/no.. => yes', '$ ' + CHECK)


@step('reboot: all units are up')
def reboot(guest):
    guest.machine.reboot()
    guest.equal('systemctl is-system-running --wait', 'running')


@step('reboot: logins with both keys, once the agent has the PIN')
def reboot_login(guest):
    guest.logins(4)
    guest.me('ssh -n -o BatchMode=yes -i ~/.ssh/id_ecdsa.pub -o IdentitiesOnly=yes me@server true', 255)
    guest.typed('me', '$ ssh-tpm add --pin', f'? Enter passphrase for .*: => {PIN}')
    guest.logins(2, '-i ~/.ssh/id_ecdsa.pub -o IdentitiesOnly=yes')


@step('journal after it')
def quiet_reboot(guest):
    return guest.quiet(USER_UNIT + r'.*PIN')


@step('attest: an accepted boot again, and one with another command line', only='qemu')
def attest_boots(guest):
    guest.me(CHECK)
    guest.expect(f"su -l me -c '{SESSION} id -un'", '(?m)^me$')
    guest.machine.command_line += ' audit=0'
    guest.machine.reboot()
    report = guest.me(CHECK, 3)
    if re.findall(r'PCR ([0-9]+) differs', report) != ['9']:
        raise Failed(report)
    guest.me(SESSION + ' touch /tmp/session', 3)
    guest.root('[ ! -e /tmp/session ]')
    guest.typed('me', f'$ {CHECK.replace("check", "check --accept")}', '? from now on .yes/no.. => yes', '$ ' + SESSION,
                '? server.*\\$ => exit')
    return report.strip()


@step('journal after it')
def quiet_attest(guest):
    return guest.quiet()


# The CA is this machine too.
KNOW_CA = "sed 's/^server /ca.example.org /' /etc/ssh/ssh_known_hosts >/root/.ssh/known_hosts"


@step('certificates: docs/host-keys.md has the keys signed when genkeys runs')
def certificates(guest):
    document = 'docs/host-keys.md'
    ask = textwrap.indent(block(document, 'ssh -T -i /etc/ssh/publish'), '    ')
    publish = re.sub(r'(?m)^ +step .*\\\n.*\n', lambda _: ask, block(document, '#!/bin/sh -e\n# /usr/local/sbin/'))
    unit = '/etc/systemd/system/ssh-tpm-publish.service'
    guest.root("useradd -m -p '*' signer")  # sshd without PAM refuses a locked user
    for path, text in (('/usr/local/sbin/ssh-tpm-publish', publish), (unit, block(document, f'# {unit}')),
                       ('/home/signer/sign', block(document, '#!/bin/sh -e\nfolder='))):
        guest.root(f"cat >{path} <<'END'\n{text}END")
    guest.root(r"""chmod 755 /usr/local/sbin/ssh-tpm-publish ~signer/sign
cd ~signer && mkdir .ssh && ssh-keygen -q -t ed25519 -N '' -f ca && chown signer ca
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/publish
echo "restrict,command=\"./sign server\" $(cat /etc/ssh/publish.pub)" >.ssh/authorized_keys
mkdir -p /root/.ssh
echo '127.0.0.1 ca.example.org' >>/etc/hosts""")
    guest.root(KNOW_CA)
    guest.root('systemctl enable ssh-tpm-publish.service && systemctl restart ssh-tpm-genkeys.service')
    guest.until('ls /etc/ssh/ssh_tpm_host_ecdsa_key-cert.pub /etc/ssh/ssh_tpm_host_rsa_key-cert.pub')
    guest.until("[ $(sshd -T | grep -c '^hostcertificate .*ssh_tpm') = 2 ]")
    guest.until('[ $(systemctl show -P ActiveState ssh-tpm-publish.service) = inactive ]')  # and sshd has reloaded
    guest.root('systemctl is-failed ssh-tpm-publish.service', 1)
    guest.expect('ssh-tpm hostkeys --check', 'cert')
    guest.root('echo "@cert-authority * $(cat ~signer/ca.pub)" >/etc/ssh/ssh_known_hosts')
    guest.logins(2, kind='-cert-v01@openssh.com')


@step('certificates: --check fails for one that has expired')
def expired(guest):
    guest.root("""cd /etc/ssh && cp -p ssh_tpm_host_rsa_key-cert.pub /root
ssh-keygen -q -s ~signer/ca -I server -h -n server -V -2h:-1h ssh_tpm_host_rsa_key.pub""")
    guest.expect('ssh-tpm hostkeys --check; [ $? = 1 ]', '(?m)^fail .*rsa_key-cert.*expired')
    guest.root('mv /root/ssh_tpm_host_rsa_key-cert.pub /etc/ssh')
    guest.check()
    guest.know_host()


@step('doctor: of root, and of the user')
def doctor(guest):
    guest.idle()
    guest.root('ssh-tpm doctor')
    found = json.loads(guest.me('ssh-tpm doctor --json', 3))['checks']
    wrong = [check for check in found if check['status'] != 'ok' and check['check'] != 'agent-askpass']
    if wrong:
        raise Failed(json.dumps(wrong, indent=1))


# What --check says, and other keys


@step('check: an old key in a file is a warning, and one that stays is not', only='container')
def old_keys(guest):
    path = '/etc/ssh/sshd_config.d/80-old-keys.conf'
    _, line = block('docs/host-keys.md', f'# {path}').splitlines()
    guest.root(f'echo {line} >{path}')
    guest.expect('ssh-tpm hostkeys --check; [ $? = 3 ]', '(?m)^warn .*ssh_host_ed25519_key')
    guest.root(f"cat >{path} <<'END'\n{block('docs/host-keys.md', '# ssh-tpm: this key stays')}END")
    # sshd of Debian 12 has a fault that --check warns of where such a key is.
    guest.expect('ssh-tpm hostkeys --check; [ $? != 1 ]', '(?m)^ok .*ssh_host_ed25519_key: .*on purpose')
    guest.root(f'rm {path}')


@step('check: a line of HostKey that ends in .pub', only='container')
def other_spelling(guest):
    config = '/etc/ssh/sshd_config.d/70-ssh-tpm.conf'
    guest.root(f"sed -i.saved '/^HostKey /s/$/.pub/' {config} && grep -c '^HostKey .*pub$' {config} && "
               'systemctl reload ssh')
    guest.expect('ssh-tpm hostkeys --check; [ $? = 3 ]', '(?m)^warn .*ecdsa_key.pub: sshd logs UNPROTECTED')
    guest.logins(2)
    guest.root(f'mv {config}.saved {config} && systemctl reload ssh')
    return guest.quiet('UNPROTECTED', '@{9}', 'ssh_tpm_host', 'private key')


# Under load


@step('beside: sshd does without PAM, which takes half the time of a login')
def no_pam(guest):
    guest.root("echo 'UsePAM no' >/etc/ssh/sshd_config.d/10-load.conf && systemctl reload ssh")


@step('beside: 100 logins while other programs use the TPM', only='qemu')
def beside(guest):
    # A turn takes two seconds on an idle machine, and the logins need the processors too.
    turns = guest.logins(100, meanwhile='tpm2_createprimary -Q -G ecc -c /tmp/primary && tpm2_getrandom 8 >/dev/null '
                         "&& rm -f /tmp/other.* && ssh-tpm keygen -q -N '' -f /tmp/other && sleep 1")
    return f'{turns} turns of tpm2_createprimary, tpm2_getrandom and keygen'


@step('beside: no handle is left in the TPM')
def handles(guest):
    guest.idle()
    raw = '-T device:/dev/tpm0' if guest.kind == 'qemu' else ''
    for capability in 'handles-transient', 'handles-loaded-session', 'handles-saved-session':
        guest.equal(f'tpm2_getcap {raw} {capability}', '')


@step('restart: logins while the agents of both sides are restarted')
def restart(guest):
    count = 200 if guest.slow else 30
    turns = guest.logins(count, meanwhile=f'systemctl restart {HOST_UNIT}; '
                         f'su -l me -c "systemctl --user restart {USER_UNIT}"')
    return f'{count} logins, {turns} restarts of each'


@step('journal after it')
def quiet_load(guest):
    return guest.quiet()


# Without an agent, and without the TPM


@step('failed: an agent that cannot start keeps no client waiting', only='container')
def cannot_start(guest):
    for run, systemctl, folder, unit, socket in (
            (guest.root, 'systemctl', '/etc/systemd/system', HOST_UNIT, HOST_AGENT),
            (guest.me, 'systemctl --user', '/etc/systemd/user', USER_UNIT, '/run/user/1000/ssh-tpm-agent.sock')):
        guest.root(f"mkdir {folder}/{unit}.d && cat >{folder}/{unit}.d/wrong.conf <<'END'\n"
                   '[Service]\nExecStart=\nExecStart=/usr/bin/ssh-tpm agent --no-such-option\nEND')
        run(f'{systemctl} daemon-reload && {systemctl} stop {unit}')
        for _ in range(2):  # systemd starts it again and again
            run(f'SSH_AUTH_SOCK={socket} ssh-add -l', 1, deadline=10)
        guest.root(f'rm -r {folder}/{unit}.d')
        run(f'{systemctl} daemon-reload && {systemctl} restart {unit}')
    guest.logins(2)
    return guest.quiet('no-such-option', 'usage:', f'Failed to start ({HOST_UNIT}|{USER_UNIT})', 'hint:')


def expect_service_without_tpm(guest):
    """Both agents run, list their keys, refuse at once and say so; nothing hangs."""
    for list_keys in (lambda: guest.root(f'SSH_AUTH_SOCK={HOST_AGENT} ssh-add -L', deadline=10),
                      lambda: guest.me('ssh-add -L', deadline=10)):
        if len(list_keys().splitlines()) < 2:
            raise Failed(f'an agent lists too few keys:\n{list_keys()}')
    guest.check(1)
    json.loads(guest.root('ssh-tpm doctor --json', 1, deadline=16))
    guest.me('ssh-tpm doctor', 1, deadline=16)
    guest.me(f'ssh -n -o BatchMode=yes {FILE_KEY} me@server', 255, deadline=20)
    # A server that needs no TPM: ssh goes on to the key in a file when the agent refuses.
    guest.root("""[ -e /root/other_key ] || ssh-keygen -q -t ed25519 -N '' -f /root/other_key
printf 'Port 2022\\nHostKey /root/other_key\\nPidFile none\\n' >/root/other_sshd
systemctl is-active -q other-sshd || systemd-run -q --unit=other-sshd /usr/sbin/sshd -D -f /root/other_sshd""")
    guest.until('ssh-keyscan -t ed25519 -p 2022 server | grep ed25519')
    guest.me('ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null '
             '-i ~/.ssh/id_plain.pub -i ~/.ssh/id_file -p 2022 me@server true', deadline=20)
    for unit in HOST_UNIT, USER_UNIT:
        if show(guest, 'ActiveState', unit) != 'active' or 'TPM' not in show(guest, 'StatusText', unit):
            raise Failed(f'{unit} is {show(guest, "ActiveState", unit)}: "{show(guest, "StatusText", unit)}"')
        field = '_SYSTEMD_USER_UNIT' if unit == USER_UNIT else '_SYSTEMD_UNIT'
        guest.expect(f'journalctl -b -q -p err {field}={unit}', 'TPM')


def expect_service_with_tpm(guest):
    guest.until('ssh-tpm hostkeys --check')
    guest.until(f'su -l me -c {shlex.quote(f"ssh -n -o BatchMode=yes {PLAIN} me@server true")}')
    guest.logins(2)


# Tried again each minute until the agent signs.
PUBLISH = r'ssh-tpm-publish\.service.*: (ssh-tpm-hostkeys: error|hint): ', 'Failed to start ssh-tpm-publish'
REFUSED = r'mm_answer_sign: agent sign: agent refused operation'  # of sshd
AWAY = (REFUSED, r'ssh-tpm-agent: error: .*(no TPM (answers )?at|the connection to the TPM was lost)',
        r'ssh-tpm-agent: hint: (check --tcti|try again; the TPM|enable the TPM)',
        *PUBLISH)


@step('away: the TPM goes while the agents run')
def away(guest):
    guest.root(f'systemctl restart {HOST_UNIT}')
    guest.logins(2)
    guest.machine.take_tpm()
    expect_service_without_tpm(guest)


@step('away: the agents are started without it')
def away_restart(guest):
    guest.root(f'systemctl restart {HOST_UNIT}')
    guest.me(f'systemctl --user restart {USER_UNIT}')
    expect_service_without_tpm(guest)
    if show(guest, 'NRestarts') != '0':
        raise Failed(f'{HOST_UNIT} was restarted {show(guest, "NRestarts")} times')


@step('away: it is back, and nobody does anything')
def back(guest):
    guest.machine.give_tpm()
    expect_service_with_tpm(guest)


@step('journal after it')
def quiet_away(guest):
    return guest.quiet(*AWAY)


@step('away: a boot without it')
def away_boot(guest):
    guest.machine.boot_without_tpm()
    guest.equal('systemctl is-system-running --wait', 'running')
    expect_service_without_tpm(guest)


@step('away: it comes after the boot')
def back_after_boot(guest):
    back(guest)


@step('journal after it')
def quiet_away_boot(guest):
    return guest.quiet(*AWAY)


# Another TPM


@step('clear: --check names it, and logins are refused at once')
def clear(guest):
    guest.root('sha256sum /etc/ssh/ssh_tpm_host_*.tpm | cut -d" " -f1 >/root/dead-keys')
    guest.root('tpm2_clear -c l')
    guest.root(f'systemctl restart {HOST_UNIT}')
    guest.check(1)
    guest.me(f'ssh -n -o BatchMode=yes {FILE_KEY} me@server', 255, deadline=20)


@step('clear: one command makes new host keys, and sets the dead ones aside')
def renew(guest):
    guest.idle()
    guest.root('ssh-tpm hostkeys --renew --yes', deadline=120)
    guest.root('for key in $(cat /root/dead-keys); do find /etc/ssh -type f -exec sha256sum {} + | grep -q $key && '
               '! sha256sum /etc/ssh/ssh_tpm_host_*_key.tpm | grep $key || exit 1; done')
    guest.know_host()
    guest.root(KNOW_CA)
    guest.root('systemctl restart ssh-tpm-publish.service && ls /etc/ssh/ssh_tpm_host_*_key-cert.pub')
    guest.check()
    guest.logins(4, FILE_KEY)
    guest.idle()
    guest.root('ssh-tpm hostkeys --renew --yes')


@step('journal after it')
def quiet_renew(guest):
    return guest.quiet(r'ssh-tpm-agent: (error|hint): .*(is not the known one|hostkeys --renew|another TPM)',
                       REFUSED, *PUBLISH)


@step('other keys: those of docs/host-keys.md, made at boot', only='container')
def other_sizes(guest):
    unit = block('docs/host-keys.md', '[Service]\nExecStart=\n').replace('/usr/local/bin/', '/usr/bin/')
    guest.root(f"mkdir /root/first && mv /etc/ssh/ssh_tpm_host_* /root/first\n"
               'mkdir -p /etc/systemd/system/ssh-tpm-genkeys.service.d\n'
               f"cat >/etc/systemd/system/ssh-tpm-genkeys.service.d/override.conf <<'END'\n{unit}END")
    guest.machine.reboot()
    guest.equal('systemctl is-system-running --wait', 'running')
    guest.root('ssh-tpm hostkeys --install-sshd-config && systemctl reload ssh')
    guest.check()
    guest.equal("ssh-tpm hostkeys | cut -d' ' -f1 | sort", '3072\n384')
    guest.root('systemctl stop ssh-tpm-publish.service')  # its CA has not heard of these keys
    guest.root('rm -r /etc/systemd/system/ssh-tpm-genkeys.service.d')
    guest.know_host()
    guest.me(f'ssh -n -o BatchMode=yes -o HostKeyAlgorithms=ecdsa-sha2-nistp384 {FILE_KEY} me@server true')
    return guest.quiet(*PUBLISH)


# Keys that the TPM makes again from a seed


@step('hierarchy: the units make endorsement keys at boot')
def hierarchy(guest):
    guest.root('ssh-tpm hostkeys --uninstall && systemctl reload ssh')
    guest.root(f'systemctl disable --now ssh-tpm-genkeys.service ssh-tpm-hostkeys.socket {HOST_UNIT}')
    guest.root('mkdir /root/old && mv /etc/ssh/ssh_tpm_host_* /root/old')
    enable, *_ = commands('docs/host-keys.md', 'systemctl enable --now ssh-tpm-genkeys@')
    guest.root(enable.replace('--now ', ''))
    guest.machine.reboot()
    guest.equal('systemctl is-system-running --wait', 'running')
    guest.root('ls /etc/ssh/ssh_tpm_host_*.pub')


@step('hierarchy: sshd uses them, by the commands of docs/host-keys.md')
def hierarchy_logins(guest):
    _, *rest = commands('docs/host-keys.md', 'systemctl enable --now ssh-tpm-genkeys@')
    guest.typed('root', *('$ ' + line for line in rest))
    guest.know_host()
    guest.logins(4, FILE_KEY)


@step('journal after it')
def quiet_hierarchy(guest):
    return guest.quiet()
