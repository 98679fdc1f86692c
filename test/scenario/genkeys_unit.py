#!/usr/bin/env python3
"""The key generation as its unit runs it: root without capabilities, in the groups that the unit names."""

import grp
import os
import re
import unittest

from hierarchy import KINDS, base_of
from lab import NO_LEAK_CHECK, NOBODY, Scenario, contents, mode, needs_root, read
from manager import Unit
from swtpm import Swtpm

UNIT = 'etc/systemd/system/ssh-tpm-genkeys.service'
STAND_IN = 64123  # for a group that this machine lacks


def id_of(group):
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return STAND_IN


@needs_root
class GenkeysUnit(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):  # as /dev/tpmrm0
            os.chown(path, NOBODY, id_of('tss'))
            os.chmod(path, 0o660)
        self.root = self.lab.make_folder('root')
        self.lab.run(self.lab.program_in(self.root), 'hostkeys', '--install-system-units',
                     env={'DESTDIR': self.root}, status=0)
        self.prefix = self.lab.make_folder('prefix')
        self.etc_ssh = self.lab.make_folder('prefix', 'etc/ssh')
        self.state = self.lab.make_folder('var-lib')
        os.chmod(self.state, 0o755)

    def make_state_folders(self, unit):
        """As systemd does it: a folder that is there is given to User=, and left alone without one. That of the
        agent is there, from its last start."""
        agent = Unit(os.path.join(self.root, os.path.dirname(UNIT), 'ssh-tpm-hostkeys.service'))
        self.assertNotIn(agent.one('User'), ('', 'root'))
        self.assertEqual(unit.all('User'), [])
        for state, owner in ((agent.one('StateDirectory'), NOBODY), (unit.one('StateDirectory'), 0)):
            folder = os.path.join(self.state, state)
            if not os.path.exists(folder):
                os.mkdir(folder, mode=int(unit.one('StateDirectoryMode'), 8))
                os.chown(folder, owner, owner)

    def run_unit(self, unit):
        """Its command, with what systemd would give it; the folder of the lab lies in the place of /etc/ssh."""
        groups = [str(id_of(group)) for line in unit.all('SupplementaryGroups') for group in line.split()]
        program, *words = unit.command()
        self.make_state_folders(unit)
        environment = dict(word.split('=', 1) for word in unit.one('Environment').split())
        env = {**dict.fromkeys(('HOME', 'USER', 'XDG_RUNTIME_DIR')), **NO_LEAK_CHECK,
               **{name: value.replace('/var/lib', self.state) for name, value in environment.items()}}
        return self.lab.run('unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/ssh && exec "$@"', self.etc_ssh,
                            'setpriv', '--groups=' + ','.join(groups) if groups else '--clear-groups',
                            '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', self.root + program, *words,
                            env=env, umask=int(unit.one('UMask'), 8))

    def test_the_keys_are_made(self):
        self.assertEqual(Unit(os.path.join(self.root, UNIT)).all('CapabilityBoundingSet'), [''])
        result = self.run_unit(Unit(os.path.join(self.root, UNIT)))
        self.assertEqual(result.returncode, 0, result.stderr)
        for kind in KINDS:
            base = base_of(self.prefix, kind)
            self.assertEqual((mode(base + '.tpm'), mode(base + '.pub')), (0o600, 0o644))
            self.assertEqual(self.lab.keygen('-y', '-f', base + '.tpm').stdout, read(base + '.pub'))
            self.assertEqual((os.stat(base + '.tpm').st_uid, os.stat(base + '.tpm').st_gid), (0, 0))
        self.tpm.assert_no_handles()

    def test_the_tpm_is_remembered(self):
        unit = Unit(os.path.join(self.root, UNIT))
        result = self.run_unit(unit)
        self.assertNotIn('not remembered', result.stderr)
        (known,) = [path for path in contents(self.state) if path.endswith('/known_tpms')]
        self.assertRegex(read(known), '(?m)^owner-')
        self.assertEqual(os.path.relpath(known, self.state).split('/')[0], unit.one('StateDirectory'))
        for name in os.listdir(self.etc_ssh):
            os.unlink(os.path.join(self.etc_ssh, name))
        self.tpm.tool('tpm2_clear')
        self.assert_error(self.run_unit(unit), 'known_tpms')
        self.assertEqual(os.listdir(self.etc_ssh), [])

    def test_without_the_group_there_is_no_tpm(self):
        """So that the sentence above can fail."""
        path = os.path.join(self.root, UNIT)
        self.lab.write('root/' + UNIT, re.sub('(?m)^SupplementaryGroups=.*\n', '', read(path)))
        self.assert_error(self.run_unit(Unit(path)), 'hint: ')
        self.assertEqual(os.listdir(self.etc_ssh), [])


if __name__ == '__main__':
    unittest.main()
