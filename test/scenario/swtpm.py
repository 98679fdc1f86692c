# SPDX-License-Identifier: MIT
"""A private TPM emulator, and the TCTI that writes down each command on its way there and can make it fail."""

import contextlib
import fcntl
import os
import signal
import socket

from lab import contents, read, wait_until
from neighbour import LOCKOUT_COUNTER, Neighbour

SHA384, SHA512 = 0x000C, 0x000D  # TPM_ALG_SHA384, TPM_ALG_SHA512 (TPM 2.0 part 2, 6.3)
STORAGE_KEY = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'


class Swtpm:
    """swtpm with its state in the lab. Its sockets listen before it starts, so it can be used at once."""

    def __init__(self, lab, name='tpm'):
        self.lab = lab
        self.path = lab.path(name)
        self.tcti = f'swtpm:path={self.path}'
        self.state = lab.make_folder(name + '.state')
        self.start()
        lab.env.setdefault('SSH_TPM_TCTI', self.tcti)

    def start(self):
        server, control = (self._listen(path) for path in (self.path, self.path + '.ctrl'))
        with server, control:
            self.process = self.lab.start(
                'swtpm', 'socket', '--tpm2', '--flags', 'startup-clear',
                '--server', f'type=unixio,fd={server.fileno()}',
                '--ctrl', f'type=unixio,fd={control.fileno()}',
                '--tpmstate', f'dir={self.state}',
                pass_fds=(server.fileno(), control.fileno()))
            self.process.last_signal = signal.SIGKILL  # swtpm 0.10 may spin at SIGTERM, and sends TPM2_Shutdown then

    def open_to_all(self):
        """Any user may talk to it."""
        for path in (self.path, self.path + '.ctrl'):
            os.chmod(path, 0o666)

    def kill(self):
        """At once, in whatever it does. `start` gives it its state back."""
        self.process.popen.kill()
        self.process.wait()

    def stopped(self):
        """It hangs meanwhile, in whatever it does or is asked to do."""
        return self.process.stopped()

    @staticmethod
    def _listen(path):
        if os.path.lexists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(64)
        return listener

    def tool(self, name, *options):
        """Runs one of the tpm2-tools and returns what it printed."""
        return self.lab.run(name, *options, '-T', self.tcti, env={'TSS2_LOG': 'all+none'}, status=0).stdout

    def craft(self, name, *options):
        """The same for tools that load things: nothing stays behind, since a TPM has few slots."""
        printed = self.tool(name, *options)
        for _, handle in self.handles():
            self.tool('tpm2_flushcontext', handle)
        return printed

    def openssl(self, command, *options):
        """Runs openssl with the provider that uses this TPM and returns what it printed."""
        return self.lab.run('openssl', command, '-provider', 'tpm2', '-provider', 'default', *options, status=0,
                            env={'TPM2OPENSSL_TCTI': self.tcti, 'TSS2_LOG': 'all+none'}).stdout

    def assert_openssl_signs(self, key, pin=''):
        """tpm2-openssl reads the key file, as the same public key, and signs with it."""
        secret = ('-passin', 'pass:' + pin) if pin else ()
        public = self.openssl('pkey', '-in', key.tpm, *secret, '-pubout')
        if public != self.lab.public_pem(key):
            raise AssertionError(f'for tpm2-openssl {key.tpm} is another key:\n{public}')
        data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
        self.openssl('pkeyutl', '-sign', '-inkey', key.tpm, *secret, '-rawin', '-digest', 'sha256', '-in', data,
                     '-out', signature)
        self.lab.run('openssl', 'dgst', '-sha256', '-verify', self.lab.write('public.pem', public), '-signature',
                     signature, data, status=0)

    def everything_else(self):
        """The content of each file in the lab except the TPM's own; a test compares it before and after."""
        return {path: content for path, content in contents(self.lab.folder).items()
                if not path.startswith(self.path)}

    def reset(self):
        """Off and on again, a TPM Reset: without TPM2_Shutdown here, swtpm 0.10 sends the one for a TPM Restart."""
        self.tool('tpm2_shutdown', '-c')
        self.lab.run('swtpm_ioctl', '-i', '--unix', self.path + '.ctrl', status=0)
        self.tool('tpm2_startup', '-c')

    def property(self, number):
        """One of the TPM's properties (TPM 2.0 part 2, 6.13), as it says it in whatever state."""
        with Neighbour(self) as asking:
            return asking.property(number)

    def wrong_tries(self):
        """The dictionary-attack counter."""
        return self.property(LOCKOUT_COUNTER)

    def handles(self):
        """The transient objects and the sessions that the TPM holds: pairs of their kind, the first byte, and all."""
        with Neighbour(self) as asking:
            return [(handle >> 24, hex(handle)) for handle in asking.all_handles()]

    def assert_no_handles(self):
        held = self.handles()
        if held:
            raise AssertionError(f'the TPM still holds {held}')

    def make_persistent(self, *options):
        """A primary key kept at 0x81000001, the owner's ECC storage key unless `options` say otherwise."""
        context = self.lab.path('primary.ctx')
        options = options or ('-C', 'o', '-G', 'ecc256:aes128cfb')
        self.tool('tpm2_createprimary', *options, '-g', 'sha256', '-a', STORAGE_KEY, '-c', context)
        self.tool('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000001')
        self.tool('tpm2_flushcontext', '-t')
        os.unlink(context)


class Probe:
    """The TCTI of test/support in front of an emulator: `tcti` is what the tools are given.

    The TPM behind it is one without the hashes in `lacks`: SHA384, SHA512."""

    def __init__(self, tpm, name='probe', next_tcti=None, lacks=()):
        self.folder = tpm.lab.make_folder(name + '-files')
        self.file, self.traffic, self.faults = (os.path.join(self.folder, file) for file in ('log', 'bytes', 'faults'))
        module = os.environ['SSH_TPM_TCTI_PROBE']
        missing = ''.join(f'lacks={number},' for number in lacks)
        self.tcti = (f'{module}:folder={self.folder},log={self.file},record={self.traffic},faults={self.faults},'
                     f'{missing}next={next_tcti or tpm.tcti}')
        self._taken = 0

    def fail(self, *rules):
        """What goes wrong from the next command on, in place of what did before: rules such as
        'TPM2_Sign answer 0x922 times=3', all of which test/support/tcti_probe_faults.hpp tells."""
        with open(self.faults + '.new', 'w', encoding='ascii') as file:
            file.writelines(rule + '\n' for rule in rules)
        os.replace(self.faults + '.new', self.faults)  # whole, at once

    def heal(self):
        """Nothing goes wrong any more."""
        self.fail()

    @contextlib.contextmanager
    def failing(self, *rules):
        self.fail(*rules)
        try:
            yield
        finally:
            self.heal()

    def reached(self):
        """For each rule the commands that came to it so far, those included that it left alone."""
        if not os.path.exists(self.faults + '.count'):
            return []
        with open(self.faults + '.count', encoding='utf-8') as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # the probe writes it under the other one
            return [int(line) for line in file.read().splitlines()[1:]]

    def lines(self):
        """Each command since the last `take` with its response code, without taking them."""
        return self._lines()[self._taken:]

    def _lines(self):
        if not os.path.exists(self.file):
            return []
        return read(self.file).splitlines()

    def take(self, refused=()):
        """The names of the commands since the last `take`. All of them must have succeeded, but for a look at
        a persistent handle that nothing is kept at, and for the lines in `refused`."""
        lines = self._lines()[self._taken:]
        self._taken += len(lines)
        expected = ('TPM2_ReadPublic 0x0000018b', *refused)
        failed = [line for line in lines if not line.endswith(' 0x00000000') and line not in expected]
        if failed:
            raise AssertionError(f'the TPM refused {failed}')
        return [line.split()[0] for line in lines]

    def wait_for(self, name, deadline):
        """Waits until `name` is among the commands that no `take` has returned yet."""
        wait_until(lambda: any(line.startswith(name + ' ') for line in self._lines()[self._taken:]), name,
                   deadline)

    def bytes(self):
        with open(self.traffic, 'rb') as file:
            return file.read()
