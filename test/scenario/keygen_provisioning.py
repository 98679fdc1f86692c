#!/usr/bin/env python3
"""keygen -A as a step of provisioning: at every boot, twice at once, killed, in an initramfs."""

import os
import shutil
import subprocess
import time
import unittest

from agent import Askpass
from hierarchy import KINDS, base_of
from lab import AS_NOBODY, Scenario, contents, mode, needs_root, read
from lesser_tpm import LesserTpm
from swtpm import Probe, Swtpm

POINTS = 60
EMPTY = {name: None for name in ('HOME', 'USER', 'LANG', 'TERM', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME')}
FILES = sorted(f'ssh_tpm_host_{kind}_key.{ending}' for kind in KINDS for ending in ('tpm', 'pub'))


# Without nsswitch.conf systemd's module, which knows root without a file, is not asked either.
NO_PASSWD = 'mount --bind /dev/null /etc/passwd && mount --bind /dev/null /etc/nsswitch.conf'


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(('unshare', '-m', 'sh', '-c', NO_PASSWD), capture_output=True,
                                                check=False).returncode == 0


needs_mounts = unittest.skipUnless(can_unshare(), 'no mounts of its own here')


class Provisioning(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.prefix = self.lab.path('prefix')
        self.folder = os.path.join(self.prefix, 'etc/ssh')

    def make(self, *options, status=0, **more):
        return self.lab.keygen('-A', '-f', self.prefix, *options, status=status, **more)

    def base(self, kind, prefix=None):
        return base_of(prefix or self.prefix, kind)

    def assert_complete(self, prefix=None):
        folder = os.path.join(prefix or self.prefix, 'etc/ssh')
        self.assertEqual(sorted(name for name in os.listdir(folder) if not name.startswith('.')), FILES)
        for kind in KINDS:
            base = self.base(kind, prefix)
            self.assertEqual(self.lab.keygen('-y', '-f', base + '.tpm').stdout, read(base + '.pub'))
            self.assertEqual((mode(base + '.tpm'), mode(base + '.pub')), (0o600, 0o644))
        for path in (folder, os.path.dirname(folder)):
            self.assertEqual(mode(path), 0o755)

    # Every boot

    def test_a_half_is_completed_without_a_tpm(self):
        self.make()
        before = contents(self.prefix)
        for spoil in (os.unlink, lambda path: os.truncate(path, 0)):
            for kind in KINDS:
                spoil(self.base(kind) + '.pub')
                self.make(env=self.lab.no_tpm)
                self.assertEqual(contents(self.prefix), before)
                self.assertEqual(mode(self.base(kind) + '.pub'), 0o644)

    def test_a_half_is_completed_when_the_other_key_cannot_be_made(self):
        self.make()
        before = read(self.base('ecdsa') + '.pub')
        for path in (self.base('ecdsa') + '.pub', self.base('rsa') + '.pub', self.base('rsa') + '.tpm'):
            os.unlink(path)
        self.assert_error(self.make(env=self.lab.no_tpm, status=None), 'hint: ')
        self.assertEqual(read(self.base('ecdsa') + '.pub'), before)

    def test_a_public_half_of_another_key_is_an_error_and_kept(self):
        self.make()
        shutil.copy(self.base('rsa') + '.pub', self.base('ecdsa') + '.pub')
        before = contents(self.prefix)
        result = self.make(status=None)
        self.assert_error(result, 'ssh_tpm_host_ecdsa_key.pub: holds another key', 'hint: remove it')
        self.assertEqual(contents(self.prefix), before)
        os.unlink(self.base('ecdsa') + '.pub')
        self.make()
        self.assert_complete()

    def test_a_broken_key_is_an_error_and_the_other_is_made(self):
        self.make()
        for path in (self.base('rsa') + '.pub', self.base('rsa') + '.tpm'):
            os.unlink(path)
        self.lab.write('prefix/etc/ssh/ssh_tpm_host_ecdsa_key.tpm', 'broken\n')
        self.assert_error(self.make(status=None), 'ssh_tpm_host_ecdsa_key.tpm')
        self.assertEqual(read(self.base('ecdsa') + '.tpm'), 'broken\n')
        self.assertEqual(self.lab.keygen('-y', '-f', self.base('rsa') + '.tpm').stdout,
                         read(self.base('rsa') + '.pub'))

    def test_a_public_half_without_its_key_is_an_error_and_kept(self):
        self.make()
        os.unlink(self.base('ecdsa') + '.tpm')
        before = contents(self.prefix)
        self.assert_error(self.make(status=None), 'without its private half', 'hint: ')
        self.assertEqual(contents(self.prefix), before)

    def test_two_and_more_at_once_agree_on_one_key(self):
        for number in range(8):
            prefix = self.lab.path(f'prefix{number}')
            # One emulator, which they use in turns, as they would a TPM behind its resource manager.
            env = {'SSH_TPM_TCTI': None, 'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')}
            runs = [self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', prefix, '--swtpm', env=env)
                    for _ in range(3)]
            for run in runs:
                self.assertEqual(run.wait(), 0, run.log())
                self.assertNotIn('error', run.log())
            self.assert_complete(prefix)
            self.assertEqual(sorted(os.listdir(os.path.join(prefix, 'etc/ssh'))), FILES)

    def test_two_at_once_agree_on_a_hierarchys_keys(self):
        env = {'SSH_TPM_TCTI': None, 'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')}
        for number in range(4):
            prefix = self.lab.path(f'prefix{number}')
            runs = [self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', prefix, '--swtpm',
                                   '--hierarchy', 'e', env=env) for _ in range(3)]
            for run in runs:
                self.assertEqual(run.wait(), 0, run.log())
            self.assertEqual(sorted(os.listdir(os.path.join(prefix, 'etc/ssh'))),
                             [name for name in FILES if name.endswith('.pub')])

    def test_killed_anywhere_the_next_run_completes_it(self):
        env = self.lab.merged({'SSH_TPM_TCTI': None, 'SSH_TPM_AGENT_SWTPM': '1',
                               'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')})
        self.lab.env = env

        def run(number):
            return self.lab.keygen('-A', '-f', self.lab.path(f'k{number}'), umask=0o077)

        run('first')  # which starts the emulator
        spans, killed = [], 0
        for number in ('second', 'third', 'fourth'):  # what else runs makes a single one too long
            start = time.monotonic()
            run(number)
            spans.append(time.monotonic() - start)
        for point in range(POINTS):
            prefix = self.lab.path(f'k{point}')
            process = subprocess.Popen((f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', prefix), env=env,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, umask=0o077)
            try:
                process.wait(min(spans) * 1.3 * point / POINTS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
            left = {path: text for path, text in (contents(prefix) if os.path.exists(prefix) else {}).items()
                    if text is not None and not os.path.basename(path).startswith('.')}
            for path in left:
                if path.endswith('.pub'):
                    self.assertIn(path[:-4] + '.tpm', left)
            self.assertEqual(run(point).stderr, '')
            self.assert_complete(prefix)
            after = contents(prefix)
            self.assertEqual({path: after[path] for path in left}, left)
        self.assertGreater(killed, POINTS // 4)

    # From an image build

    def test_the_prefix_may_be_relative_or_end_in_a_slash(self):
        for prefix in ('image', 'image2/', self.lab.path('image3') + '/'):
            self.lab.keygen('-A', '-f', prefix, umask=0o077)
            self.assert_complete(self.lab.path(prefix.rstrip('/')))

    def test_the_comment_may_be_another(self):
        self.make('-C', 'root@image')
        for kind in KINDS:
            self.assertEqual(read(self.base(kind) + '.pub').split()[2], 'root@image')
        result = self.lab.keygen('-A', '-f', self.lab.path('other'), '-C', 'a\nb', status=None)
        self.assert_error(result, '-C: ', status=2)

    # From an initramfs

    def test_no_home_and_no_user_are_needed(self):
        self.make(env=EMPTY)
        self.assert_complete()
        self.assertEqual(self.make(env=EMPTY).stderr, '')

    @needs_mounts
    def test_no_passwd_is_needed(self):
        self.lab.run('unshare', '-m', 'sh', '-c', NO_PASSWD + ' && exec "$@"', 'sh',
                     f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', self.prefix, env=EMPTY, status=0)
        self.assert_complete()

    def on_read_only(self, *options, probe=None, env=None):
        place = self.prefix
        script = f'mount --bind {place} {place} && mount -o remount,ro,bind {place} && exec "$@"'
        tcti = ('--tcti', probe.tcti) if probe else ()
        return self.lab.run('unshare', '-m', 'sh', '-c', script, 'sh', f'{self.lab.bin}/ssh-tpm-keygen', '-A',
                            '-f', place, *tcti, *options, env={**EMPTY, **(env or {})})

    @needs_mounts
    def test_a_read_only_place_is_an_error_before_the_tpm_has_worked(self):
        os.makedirs(self.folder)
        probe = Probe(self.tpm)
        for options in ((), ('--hierarchy', 'owner')):
            result = self.on_read_only(*options, probe=probe)
            self.assert_error(result, self.folder, 'Read-only file system', 'hint: ')
        self.assertEqual(probe.take(), [])
        shutil.rmtree(self.prefix)
        os.mkdir(self.prefix)
        self.assert_error(self.on_read_only(probe=probe), self.prefix, 'Read-only file system')

    @needs_mounts
    def test_a_read_only_place_with_all_keys_is_none(self):
        self.make()
        result = self.on_read_only(env=self.lab.no_tpm)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))
        os.unlink(self.base('rsa') + '.pub')
        self.assert_error(self.on_read_only(), 'ssh_tpm_host_rsa_key.pub', 'Read-only file system')

    @needs_root
    def test_a_folder_of_somebody_elses_is_an_error(self):
        os.makedirs(self.folder)
        os.chmod(self.lab.folder, 0o755)
        self.tpm.open_to_all()
        program = os.path.join(self.lab.program_for_others(), 'ssh-tpm-keygen')
        result = self.lab.run(program, '-A', '-f', self.prefix, **AS_NOBODY)
        self.assert_error(result, self.folder, 'Permission denied', 'hint: ')

    # The TPM

    def test_the_owner_password_is_honoured(self):
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'owned')
        self.assert_error(self.make(status=None), 'the owner hierarchy has a password', 'hint: -o')
        self.assert_error(self.make(env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'other'}, status=None),
                          'the owner password is wrong')
        self.assertEqual(os.listdir(self.folder), [])
        probe = Probe(self.tpm)
        self.make('--tcti', probe.tcti, env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'owned'})
        self.assertNotIn(b'owned', probe.bytes())
        shutil.rmtree(self.prefix)
        asked = Askpass(self.lab, 'owned')
        self.make('-o', env=asked.env)
        self.assert_complete()
        self.assertEqual(len(asked.questions()), 1)
        self.make('-o', env=asked.env)  # nothing is missing: nobody is asked
        self.assertEqual(len(asked.questions()), 1)
        self.tpm.assert_no_handles()

    def test_what_the_tpm_lacks_is_warned_of_and_the_rest_is_made(self):
        for lacked, made in (('rsa', 'ecdsa'), ('ecdsa', 'rsa')):
            shutil.rmtree(self.prefix, ignore_errors=True)
            less = LesserTpm(self.tpm, lacked)
            for _ in range(2):
                result = self.make('--tcti', less.tcti)
                self.assertRegex(result.stderr, '(?m)^ssh-tpm-keygen: warning: this TPM makes no ')
                self.assertEqual(sorted(os.listdir(self.folder)),
                                 sorted(f'ssh_tpm_host_{made}_key.{ending}' for ending in ('tpm', 'pub')))
        shutil.rmtree(self.prefix)
        none = LesserTpm(self.tpm, 'ecdsa', 'rsa')
        self.assert_error(self.make('--tcti', none.tcti, status=None), 'neither ECDSA 256 nor RSA 2048')
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == '__main__':
    unittest.main()
