#!/usr/bin/env python3
"""The units of a build whose prefix has characters that mean something to systemd."""

import os
import shutil
import unittest

from lab import Scenario

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@unittest.skipUnless(shutil.which('meson') and shutil.which('systemd-analyze'), 'no meson, or no systemd')
class OddPrefix(Scenario):
    def configure(self, prefix):
        """A build folder, in which nothing is compiled."""
        self.prefix, self.build = self.lab.path(prefix), self.lab.path('build')
        return self.lab.run('meson', 'setup', '-Dtests=false', '--prefix', self.prefix, self.build, SOURCE,
                            env={'PATH': os.environ['PATH'], 'CXX': os.environ.get('CXX')}, deadline=300)

    def verify(self):
        folder = os.path.join(self.build, 'units')
        os.makedirs(folder, exist_ok=True)
        for name in ('ssh-tpm-agent.service', 'ssh-tpm-agent.socket'):
            built = os.path.join(self.build, 'data', name)
            shutil.copy(built if os.path.exists(built) else f'{SOURCE}/data/systemd/user/{name}', folder)
        return self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', folder, 'systemd-analyze', '--user', '--man=no',
                            'verify', './ssh-tpm-agent.service')

    def test_blanks_and_what_systemd_would_replace_are_part_of_the_path(self):
        result = self.configure('per%cent%d dol$lar ${HOME} ümläut;x')
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        program = os.path.join(self.prefix, 'bin/ssh-tpm')
        os.makedirs(os.path.dirname(program))
        shutil.copy(self.lab.bin + '/ssh-tpm', program)
        result = self.verify()
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        os.unlink(program)
        self.assertNotEqual(self.verify().returncode, 0)

    def test_a_path_that_is_no_programs_for_systemd_is_refused(self):
        for prefix in ('quo"te', "apo'strophe", 'back\\slash', 'new\nline'):
            with self.subTest(prefix):
                result = self.configure(prefix)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stdout + result.stderr, 'ERROR: .*systemd takes no program')
                shutil.rmtree(self.build)


if __name__ == '__main__':
    unittest.main()
