# SPDX-License-Identifier: MIT
"""Host keys for ssh-tpm-hostkeys --renew."""

import os

from agent import Agent
from hierarchy import base_of, read_public
from lab import contents, mode, read
from softkey import SoftKey
from stock import HostKeyStock

OTHER = 'is not the known one'
DEAD = 'belongs to another TPM, or to this one before it was cleared'
NOTHING = 'There is nothing to renew.'


class RenewalStock(HostKeyStock):
    """Host keys in a tree, of the TPM before it is cleared. The ECDSA key is of another size than the usual one."""

    FOLDERS = ('root', 'state')

    @classmethod
    def fill(cls, lab):
        super().fill(lab)
        base = base_of(lab.path('root'), 'ecdsa')
        for ending in '.tpm', '.pub':
            os.unlink(base + ending)
        lab.keygen('-q', '-t', 'ecdsa', '-b', '384', '-N', '', '-C', 'a comment', '-f', base)
        authority = SoftKey(lab, lab.path('authority'))
        lab.ssh_keygen('-q', '-h', '-s', authority.path, '-I', 'a host', '-n', 'host', base + '.pub')

    def setUp(self):
        super().setUp()
        self.root = self.lab.path('root')
        self.folder = os.path.join(self.root, 'etc/ssh')
        self.known = os.path.join(self.folder, 'ssh_tpm_known_tpms')

    def drop(self, *kinds):
        for kind in kinds:
            for ending in '.tpm', '.pub', '-cert.pub':
                if os.path.exists(base_of(self.root, kind) + ending):
                    os.unlink(base_of(self.root, kind) + ending)

    def clear(self):
        self.tpm.tool('tpm2_clear', '-c', 'p')

    def name(self):
        """The known Name of the storage key."""
        (line,) = read(self.known).splitlines()
        parent, name, tcti = line.split(' ', 2)
        self.assertEqual((parent, tcti), ('owner-ecc', self.tpm.tcti))
        return name

    def renew(self, *options, env=None, **more):
        return self.lab.run(f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew', *options,
                            env={'DESTDIR': self.root, **(env or {})}, **more)

    def assert_refused(self, *words, options=('--yes',), status=1, **more):
        """And nothing has changed."""
        before = contents(self.folder)
        result = self.renew(*options, **more)
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys', status=status)
        self.assertEqual(contents(self.folder), before)
        return result

    def assert_nothing_to_do(self, *words, stderr=''):
        before = contents(self.folder)
        result = self.renew()
        self.assertEqual((result.returncode, result.stderr), (0, stderr))
        for word in (NOTHING, *words):
            self.assertIn(word, result.stdout)
        self.assertEqual(contents(self.folder), before)
        self.tpm.assert_no_handles()

    def assert_work(self, *kinds):
        agent = Agent(self.lab, '--no-seal', '--no-cache', key_dir=self.folder,
                      env={'SSH_TPM_KNOWN_TPMS': self.known})
        keys = [read_public(self.root, kind) for kind in kinds]
        self.assertEqual([line.split()[:2] for line in agent.listed()], [key.line.split()[:2] for key in keys])
        for key in keys:
            self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
            agent.sign_and_check(key)
        agent.stop()

    def assert_kept(self, before):
        """Each file that is another one now still has its content under a name behind its own."""
        after = contents(self.folder)
        for path, content in before.items():
            if path != self.known and after.get(path) != content:
                self.assertIn(content, [after[name] for name in after if name.startswith(path + '.old-')], path)
