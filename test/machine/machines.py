# SPDX-License-Identifier: MIT
"""The machine: in qemu, with a kernel TPM, or a container, whose programs talk to swtpm. Sockets have short names,
because this program works in the folder of the run."""

import base64
import collections
import contextlib
import os
import shutil
import socket
import subprocess
import time

from tree import Failed, make_image, run, write

BOOT = 600  # s: two cores that others use too boot qemu in four minutes

Result = collections.namedtuple('Result', 'status output')


def listen(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    os.chmod(path, 0o666)
    return listener


def start(*argv, log, **more):
    """A program that ends with this one at the latest."""
    with open(log, 'ab') as file:
        return subprocess.Popen(('setpriv', '--pdeathsig', 'KILL', *argv), stdin=subprocess.DEVNULL, stdout=file,
                                stderr=file, **more)


def end(process):
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Machine:
    """Shared by both kinds: runs commands over a socket, without sshd."""

    def __init__(self):
        self.process = self.line = self.boot = None
        self.swtpm = []

    def run(self, script, deadline=60):
        """Runs a script as root there. @returns its status, 124 after `deadline` seconds, and its output."""
        if not self.line:
            raise Failed('the machine does not answer')
        self.line.settimeout(deadline + 60)
        text = base64.b64encode(script.encode()).decode()
        try:
            self.line.sendall(f'{deadline} {text}\n'.encode())
            answer = self.reader.readline()
            status, _, output = answer.partition(b' ')
            return Result(int(status), base64.b64decode(output).decode(errors='replace'))
        except (OSError, ValueError) as error:
            self._hang_up()
            raise Failed(f'the machine does not answer: {error}') from error

    def reboot(self):
        """Off and on. systemd-nspawn reboots by itself only where /run is a tmpfs, and qemu is ten seconds slower if
        its memory has seen a boot."""
        self.run('(sleep 0.5; systemctl poweroff) >/dev/null &')  # a moment later, so that the answer to this comes
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired as late:
            raise Failed('the machine does not power off') from late
        self._hang_up()
        self.start()

    def end(self):
        self._hang_up()
        for process in (self.process, *self.swtpm):
            end(process)

    def _hang_up(self):
        if self.line:
            self.reader.close()
            self.line.close()
        self.line = None

    def _connect(self, path):
        """@returns whether the machine took the call and is ready."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        try:
            line.connect(path)
        except OSError:
            line.close()
            return False
        self.line, self.reader = line, line.makefile('rb')
        return True

    def _says_ready(self):
        """Whether the next line tells of a boot that is new to us. OVMF has cleared a screen in front of it."""
        words, _, boot = self.reader.readline().rpartition(b' ')
        if not words.endswith(b'ready') or boot == self.boot:
            return False
        self.boot = boot
        return True

    def _until(self, condition, what, deadline=BOOT):
        over = time.monotonic() + deadline
        while not condition():
            if self.process.poll() is not None:
                raise Failed(f'{what}: {self.process.args[3]} ended with status {self.process.returncode}')
            if time.monotonic() > over:
                raise Failed(f'{what}: not after {deadline} s')
            time.sleep(0.1)


class Qemu(Machine):
    """A whole machine. Its TPM is swtpm behind the kernel's driver tpm_crb; it has no network. Its firmware, OVMF,
    measures what it boots, and the kernel measures its command line."""

    kind = 'qemu'
    command_line = 'console=ttyS0 root=/dev/nvme0n1 rw quiet no_timer_check mitigations=off apparmor=0 panic=-1'

    def __init__(self, tree):
        super().__init__()
        run('systemctl', '--root=' + tree, 'enable', 'control.service')
        write(tree, 'etc/fstab', '/dev/nvme0n1 / ext4 rw,noatime 0 0\n')
        self.kernel = make_image(tree, 'disk')
        shutil.rmtree(tree)

    def start(self):
        """qemu ends swtpm when it ends."""
        os.makedirs('tpm', exist_ok=True)
        self.swtpm = [start('swtpm', 'socket', '--tpm2', '--tpmstate', 'dir=tpm', '--ctrl', 'type=unixio,path=tpm.ctrl',
                            log='swtpm.log')]
        accel = 'kvm' if kvm_works() else 'tcg,thread=multi,tb-size=512'
        # no_timer_check: on a busy host the kernel would find the timer broken, and panic.
        self.process = start(
            'qemu-system-x86_64', '-accel', accel, '-cpu', 'host' if accel == 'kvm' else 'qemu64,+rdrand', '-smp', '2',
            '-m', '1024', '-display', 'none', '-nodefaults', '-bios', '/usr/share/ovmf/OVMF.fd',
            '-kernel', self.kernel, '-append', self.command_line,
            '-drive', 'file=disk,if=none,id=disk,format=raw,cache=unsafe', '-device', 'nvme,drive=disk,serial=1',
            '-device', 'virtio-rng-pci',
            '-chardev', 'socket,id=tpm,path=tpm.ctrl', '-tpmdev', 'emulator,id=tpm,chardev=tpm',
            '-device', 'tpm-crb,tpmdev=tpm',
            '-chardev', 'socket,id=console,path=console,server=on,wait=off,logfile=console.log',
            '-serial', 'chardev:console',
            '-chardev', 'socket,id=control,path=control,server=on,wait=off', '-serial', 'chardev:control',
            log='qemu.log')
        self._until(lambda: self._connect('control'), 'qemu', 60)
        self._await_ready()

    def _await_ready(self):
        self.line.settimeout(BOOT)
        try:
            while not self._says_ready():
                if self.process.poll() is not None:
                    raise Failed(f'qemu ended with status {self.process.returncode}')
        except OSError as error:
            raise Failed(f'the machine does not boot: {error}\n{console_tail()}') from error

    def take_tpm(self):
        self.run_well('systemctl start tpm-away.service')

    def give_tpm(self):
        self.run_well('systemctl stop tpm-away.service && udevadm settle')

    def run_well(self, command):
        result = self.run(command)
        if result.status != 0:
            raise Failed(result.output)

    def boot_without_tpm(self):
        self.run('systemctl enable tpm-away.service')
        self.reboot()
        self.run('systemctl disable tpm-away.service')

    def way_in(self):
        return f'socat -,raw,echo=0 UNIX-CONNECT:{os.path.abspath("console")}'


class Container(Machine):
    """systemd in namespaces of this machine's kernel. Its units and its users are told of swtpm's socket: one for the
    host's keys, one for the user's, because two agents without a resource manager would fill a TPM's slots."""

    kind = 'container'

    def __init__(self, tree):
        super().__init__()
        self.tree = tree
        run('systemctl', '--root=' + tree, 'enable', 'control.socket')
        variable = 'SSH_TPM_TCTI=swtpm:path=/control/'
        write(tree, 'etc/systemd/system/ssh-tpm-.service.d/swtpm.conf', f'[Service]\nEnvironment={variable}system\n')
        # A user's manager (systemd 252) cannot hide the /proc/kmsg of a container.
        write(tree, 'etc/systemd/user/ssh-tpm-.service.d/swtpm.conf',
              f'[Service]\nEnvironment={variable}user\nProtectKernelLogs=no\n')
        write(tree, 'etc/systemd/system/control@.service.d/swtpm.conf',
              f'[Service]\nEnvironment={variable}system TPM2TOOLS_TCTI=swtpm:path=/control/system\n')
        write(tree, 'etc/environment', variable + 'user\n')
        write(tree, 'root/.profile', f'export {variable}system\n')

    def start(self):
        os.makedirs('control', exist_ok=True)
        if not self.swtpm:
            self.give_tpm()
        self.process = start('systemd-nspawn', '--quiet', '--boot', '--directory=' + self.tree,
                             f'--machine=ssh-tpm-{os.getpid()}', '--register=no', '--keep-unit', '--private-network',
                             '--console=pipe', '--system-call-filter=@memlock',
                             '--bind=' + os.path.abspath('control') + ':/control', log='console.log')
        self._await_ready()

    def _await_ready(self):
        def ready():
            if not self._connect('control/socket'):
                return False
            with contextlib.suppress(OSError):
                if self._says_ready():
                    return True
            self._hang_up()
            return False
        self._until(ready, 'the container does not boot')

    def take_tpm(self):
        for swtpm in self.swtpm:
            swtpm.kill()
            swtpm.wait()

    def give_tpm(self):
        self.swtpm = [self._start_swtpm(name) for name in ('system', 'user')]

    @staticmethod
    def _start_swtpm(name):
        state = 'tpm-' + name
        os.makedirs(state, exist_ok=True)
        with listen('control/' + name) as server, listen(f'control/{name}.ctrl') as control:
            descriptors = server.fileno(), control.fileno()
            return start('swtpm', 'socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', 'dir=' + state,
                         '--server', f'type=unixio,fd={descriptors[0]}',
                         '--ctrl', f'type=unixio,fd={descriptors[1]}', log='swtpm.log', pass_fds=descriptors)

    def boot_without_tpm(self):
        self.take_tpm()
        self.reboot()

    def way_in(self):
        leader = run('pgrep', '-P', str(self.process.pid)).split()[0]
        return f'nsenter --all --target {leader}'


def kvm_works():
    """Some machines have a /dev/kvm that does not: a boot sector tells it by its exit."""
    if not os.path.exists('/dev/kvm'):
        return False
    code = bytes.fromhex('baf400b010eef4')  # mov dx, 0xf4; mov al, 0x10; out dx, al; hlt
    with open('probe', 'wb') as file:
        file.write(code.ljust(510, b'\0') + b'\x55\xaa')
    argv = ('qemu-system-x86_64', '-accel', 'kvm', '-cpu', 'host', '-display', 'none', '-nodefaults', '-drive',
            'file=probe,format=raw', '-device', 'isa-debug-exit,iobase=0xf4')
    try:
        return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0x10 * 2 + 1
    except subprocess.TimeoutExpired:
        return False


def console_tail():
    try:
        with open('console.log', encoding='utf-8', errors='replace') as file:
            return ''.join(file.readlines()[-30:])
    except OSError:
        return ''
