# SPDX-License-Identifier: MIT
"""The machine's files: a tree of Debian by debootstrap, the packages, and the image of a disk."""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASES = {'12': 'bookworm', '13': 'trixie'}
# The kernel for clouds has NVMe and ext4 built in, so that it needs no initrd.
PACKAGES = ('systemd', 'systemd-sysv', 'dbus', 'dbus-user-session', 'libpam-systemd', 'udev', 'kmod', 'openssh-client',
            'openssh-server', 'tpm-udev', 'tpm2-tools', 'expect', 'linux-image-cloud-amd64')
NEEDLESS = ('apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer',
            'e2scrub_reap.service', 'fstrim.timer', 'systemd-pstore.service', 'systemd-timesyncd.service')
PASSWORD = 'password of me'
FILES = {
    'etc/default/locale': '',
    'etc/hostname': 'server\n',
    'etc/hosts': '127.0.0.1 localhost server\n',
    'etc/ssh/ssh_config.d/server.conf':
        # sntrup761 takes qemu two seconds.
        'Host *\n    StrictHostKeyChecking yes\n    ConnectTimeout 60\n    KexAlgorithms curve25519-sha256\n',
    'etc/systemd/system/control.socket':  # of the container
        '[Socket]\nListenStream=/control/socket\nAccept=yes\n[Install]\nWantedBy=sockets.target\n',
    'etc/systemd/system/control@.service':
        '[Service]\nExecStart=/usr/local/sbin/control\nStandardInput=socket\nStandardError=journal\n',
    'etc/systemd/system/control.service':  # of the machine in qemu, by its second serial port
        '[Service]\nExecStart=/bin/sh -c "stty -F /dev/ttyS1 raw -echo && '
        'exec /usr/local/sbin/control <>/dev/ttyS1 >&0"\n[Install]\nWantedBy=multi-user.target\n',
    # Takes the driver from the TPM: now, or as the first act of a boot.
    'etc/systemd/system/tpm-away.service':
        '[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n'
        '[Service]\nType=oneshot\nRemainAfterExit=yes\n'
        'ExecStart=/bin/sh -c "echo MSFT0101:00 >/sys/bus/acpi/drivers/tpm_crb/unbind"\n'
        'ExecStop=/bin/sh -c "echo MSFT0101:00 >/sys/bus/acpi/drivers/tpm_crb/bind"\n'
        '[Install]\nWantedBy=sysinit.target\n',
    # The kernel's IMA holds the old device for ever, so that the TPM is /dev/tpmrm1 when it is back.
    'etc/udev/rules.d/70-tpmrm.rules': 'KERNEL=="tpmrm[1-9]", SYMLINK+="tpmrm0"\n',
    'etc/systemd/system/serial-getty@ttyS0.service.d/root.conf':
        '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 %I vt220\n',
    # "me", logged in on a console: the user's agent runs on between the logins of the steps.
    'etc/systemd/system/me.service':
        '[Service]\nUser=me\nPAMName=login\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
}


class Failed(Exception):
    """A step that failed; the text is for the person who reads the output."""


running = set()


def run(*argv, deadline=60, **more):
    """Runs a command of this machine. @returns its output. @raises Failed with it"""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace', start_new_session=True, **more)
    running.add(process)
    try:
        output, _ = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f'\nnot done after {deadline} s'
    running.remove(process)
    if process.returncode != 0:
        raise Failed(f'{" ".join(argv)}: status {process.returncode}\n{output[-4000:]}')
    return output


def end_running():
    """Ends the commands that other threads run."""
    for process in list(running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def write(tree, name, text, mode=0o644):
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    os.chmod(path, mode)


def mirror():
    """Debian's mirror that apt of this machine uses."""
    uris = run('apt-get', 'indextargets', '--format', '$(REPO_URI) $(ORIGIN)', 'Created-By: Packages')
    found = [uri for uri, _, origin in (line.partition(' ') for line in uris.splitlines())
             if origin == 'Debian' and 'security' not in uri]
    if not found:
        raise Failed('apt of this machine has no mirror of Debian: run `apt-get update`')
    return found[0]


def make_base(work, release):
    """WORK/base-RELEASE, which no machine changes: each starts from a copy. It is kept for the next run."""
    base = os.path.join(work, 'base-' + release)
    with contextlib.suppress(FileNotFoundError), open(os.path.join(base, 'made-with'), encoding='utf-8') as file:
        if file.read() == ' '.join(PACKAGES):
            return base
    new = base + '.new'
    for old in base, new:
        shutil.rmtree(old, ignore_errors=True)
    write(new, 'etc/dpkg/dpkg.cfg.d/fast',
          'force-unsafe-io\npath-exclude=/usr/share/locale/*\npath-exclude=/usr/share/man/*\n')
    os.makedirs(os.path.join(work, 'downloads'), exist_ok=True)
    run('debootstrap', '--variant=minbase', '--include=' + ','.join(PACKAGES),
        '--cache-dir=' + os.path.join(work, 'downloads'), RELEASES[release], new, mirror(), deadline=1200,
        env={**os.environ, 'INITRD': 'No', 'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C'})
    write(new, 'made-with', ' '.join(PACKAGES))
    os.rename(new, base)
    return base


def build_packages(work):
    """Debian's packages of this tree. Those of an earlier run, or what it has compiled, are used again."""
    source, stamp = os.path.join(work, 'source'), os.path.join(work, 'packages-made')
    made = glob.glob(os.path.join(work, '*.deb'))
    os.makedirs(source, exist_ok=True)
    changed = run('find', '.', '(', '-name', '.git', '-o', '-name', '__pycache__', '-o', '-path', './build*', ')',
                  '-prune', '-o', *(['-newer', stamp] if os.path.exists(stamp) else []), '!', '-type', 'd', '-print',
                  cwd=SOURCES)
    if made and not changed:
        return made
    for old in made:
        os.unlink(old)
    write(work, 'packages-made', '')
    write(work, 'changed', changed)
    # With new times, because ninja compares them with those of the objects.
    run('sh', '-c', 'tar -c -T "$0/changed" | tar -C "$0/source" -x -m --no-same-owner', work, cwd=SOURCES)
    shutil.rmtree(os.path.join(source, 'debian'), ignore_errors=True)
    shutil.copytree(os.path.join(source, 'data/packaging/debian'), os.path.join(source, 'debian'))
    run('dpkg-buildpackage', '-b', '-us', '-uc', '-nc', cwd=source, deadline=1200,
        env={**os.environ, 'DEB_BUILD_OPTIONS': 'nocheck noautodbgsym unity', 'DEB_BUILD_PROFILES': 'nocheck',
             'PATH': '/usr/lib/ccache:' + os.environ['PATH']})
    return glob.glob(os.path.join(work, '*.deb'))


def add_dependencies(base, packages):
    """The base gets what the packages need, since a machine has no network."""
    needed = ', '.join(run('dpkg-deb', '-f', package, field).strip() for package in packages
                       for field in ('Depends', 'Recommends'))
    others = ', '.join(name for name in re.split(r',\s*', ' '.join(needed.split()))
                       if name and not re.match(r'ssh-tpm\b', name))
    chroot = ('chroot', base, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get')
    satisfy = (*chroot, 'satisfy', '-y', '--no-install-recommends', others)
    try:
        run(*satisfy, '--no-download')
    except Failed:
        run(*chroot, 'update', deadline=300)
        run(*satisfy, deadline=300)
        run(*chroot, 'clean')


def make_copy(base, tree, packages):
    """A tree for one machine, with a user and the packages in /root."""
    run('cp', '-a', '--reflink=auto', base, tree, deadline=300)
    for name, text in FILES.items():
        write(tree, name, text)
    for unit in NEEDLESS:
        os.symlink('/dev/null', os.path.join(tree, 'etc/systemd/system', unit))
    for name in 'control', 'typed':
        shutil.copy(os.path.join(SOURCES, 'test/machine/guest', name), os.path.join(tree, 'usr/local/sbin'))
    shutil.rmtree(os.path.join(tree, 'var/lib/apt/lists'))  # apt would spend a minute on them
    os.makedirs(os.path.join(tree, 'var/log/journal'), exist_ok=True)
    run('chroot', tree, 'useradd', '-m', '-s', '/bin/bash', 'me')
    run('chroot', tree, 'sh', '-c', f"echo 'me:{PASSWORD}' | chpasswd && passwd -d root")
    run('systemctl', '--root=' + tree, 'enable', 'me.service')
    for package in packages:
        shutil.copy(package, os.path.join(tree, 'root'))


def make_image(tree, image):
    """A disk with the tree, which has no partitions. @returns the kernel"""
    run('truncate', '-s', '3G', image)
    run('mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-d', tree, image, deadline=300)
    return shutil.copy(glob.glob(os.path.join(tree, 'boot/vmlinuz-*'))[0], 'vmlinuz')
