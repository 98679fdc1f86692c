#!/usr/bin/env python3
"""kill -9 at any moment of keygen leaves the old key or the new one, whole, and no handle to later users."""

import os
import subprocess
import time
import unittest

import keyfile
from agent import Agent
from lab import Scenario, contents, read, read_key
from swtpm import Swtpm

POINTS = 200
OLD, NEW = 'the old pin', 'the new pin'


class Emulated(Swtpm):
    """The emulator that ssh-tpm started, for the eyes of tpm2-tools."""

    def __init__(self, lab, state):
        self.lab, self.tcti = lab, f'swtpm:path={state}/socket'


class KilledAnywhere(Scenario):
    def setUp(self):
        super().setUp()
        self.state = self.lab.path('emulator')
        self.lab.env.update(SSH_TPM_AGENT_SWTPM='1', SSH_TPM_SWTPM_STATE=self.state)
        self.lab.make_key('warm-up', folder=self.lab.make_folder('elsewhere'))

    def span(self, *options):
        """How long a run takes that is not killed; the longest of three."""
        times = []
        for number in range(3):
            start = time.monotonic()
            self.lab.keygen(*(option.format(f'span{number}') for option in options))
            times.append(time.monotonic() - start)
        return max(times)

    def sweep(self, span, *options):
        """Kills POINTS runs, each a little later, but the last one; {} in `options` is the number of the run."""
        ended = 0
        for point in range(POINTS):
            argv = [f'{self.lab.bin}/ssh-tpm-keygen', *(option.format(point) for option in options)]
            process = subprocess.Popen(argv, env=self.lab.env, cwd=self.lab.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            patience = span * 1.5 * point / POINTS if point < POINTS - 1 else 60
            try:
                ended += process.wait(patience) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Some were killed and some came to their end: the sweep has seen all that is between.
        self.assertGreater(ended, 0)
        self.assertLess(ended, POINTS)

    def left_over(self, endings):
        """The files that the killed runs left, apart from temporary ones, which all begin with a dot."""
        names = [name for name in os.listdir(self.lab.keys) if not name.startswith('.')]
        for name in names:
            self.assertTrue(name.endswith(endings), name)
        return names

    def assert_nothing_held(self):
        """A user after the killed ones finds the TPM empty and leaves it so."""
        self.lab.make_key('afterwards', folder=self.lab.path('elsewhere'))
        Emulated(self.lab, self.state).assert_no_handles()

    def test_a_new_key_is_there_whole_or_not_at_all(self):
        options = ('-q', '-N', '', '-C', 'number {}', '-f', self.lab.path('keys/{}'))
        self.sweep(self.span(*options), *options)
        names = self.left_over(('.tpm', '.pub'))
        private = {name[:-4] for name in names if name.endswith('.tpm')}
        public = {name[:-4] for name in names if name.endswith('.pub')}
        self.assertLessEqual(public, private)
        agent = Agent(self.lab)
        with agent.connect() as connection:
            served = dict(connection.list())
            self.assertEqual(len(served), len(private))
            for blob in served:
                self.assertIsNotNone(connection.sign(blob, b'data'))
        for name in public:
            key = read_key(self.lab.path('keys', name))
            self.assertIn(key.blob, served)
        self.assertNotIn('skipped', agent.log())
        agent.stop()
        self.assert_nothing_held()

    def test_a_changed_pin_is_the_old_one_or_the_new_one(self):
        original = self.lab.make_key('original', pin=OLD, folder=self.lab.path('elsewhere'))
        text = read(original.tpm)
        for name in [f'span{number}' for number in range(3)] + list(range(POINTS)):
            self.lab.write(f'keys/{name}.tpm', text, mode=0o600)
        options = ('-p', '-P', OLD, '-N', NEW, '-f', self.lab.path('keys/{}.tpm'))
        self.sweep(self.span(*options), *options)
        names = self.left_over('.tpm')
        self.assertEqual(len(names), POINTS + 3)
        changed = [name for name in names if read(self.lab.path('keys', name)) != text]
        for name in changed:
            keyfile.fields(self.lab.path('keys', name))
            # Each -p tries the key with a signature before and after.
            self.lab.keygen('-p', '-P', NEW, '-N', OLD, '-f', self.lab.path('keys', name))
        self.lab.keygen('-p', '-P', OLD, '-N', NEW, '-f', original.tpm)
        self.assertEqual(Emulated(self.lab, self.state).wrong_tries(), 0)
        self.assert_nothing_held()

    def test_what_a_killed_run_left_is_no_obstacle_to_the_next(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        for name in ('.x.tpm', '.x.tpm.1', '.x.tpm.abcdef', '.x.tpm.tmp', 'x.tpm~'):
            self.lab.write('keys/' + name, 'half a key')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])
        self.lab.keygen('-p', '-P', OLD, '-N', '', '-f', key.tpm)
        self.assertNotEqual(read(key.tpm).encode(), before[key.tpm])
        agent.sign_and_check(key)


if __name__ == '__main__':
    unittest.main()
