#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""keygen -A makes the host keys that are missing and touches nothing that is there: as a step of provisioning, at every
boot, twice at once, in an initramfs."""

import os
import shutil
import socket
import unittest

import keyfile
from agent import Askpass
from hierarchy import KINDS, LACKS, base_of
from lab import AS_NOBODY, WITH_MOUNTS, contents, mode, needs_mounts, needs_root, read, read_key
from stock import Stocked, WithTpm
from swtpm import Probe

TYPES = {'ecdsa': ('256', 'ECDSA'), 'rsa': ('2048', 'RSA')}
EMPTY = {name: None for name in ('HOME', 'USER', 'LANG', 'TERM', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME')}
FILES = sorted(f'ssh_tpm_host_{kind}_key.{ending}' for kind in KINDS for ending in ('tpm', 'pub'))
KNOWN = 'ssh_tpm_known_tpms'
# Without nsswitch.conf systemd's module, which knows root without a file, is not asked either.
NO_PASSWD = 'mount --bind /dev/null /etc/passwd && mount --bind /dev/null /etc/nsswitch.conf'


can_mount = needs_mounts(NO_PASSWD)


class HostKeys:
    """Host keys below a prefix."""

    def setUp(self):
        super().setUp()
        self.prefix = self.lab.path('prefix')
        self.folder = os.path.join(self.prefix, 'etc/ssh')

    def make(self, *options, status=0, **more):
        return self.lab.keygen('-A', '-f', self.prefix, *options, status=status, **more)

    def base(self, kind):
        return base_of(self.prefix, kind)

    def remove(self, *kinds):
        for kind in kinds:
            for ending in ('.tpm', '.pub'):
                os.unlink(self.base(kind) + ending)

    def assert_complete(self, prefix=None, others=(KNOWN,)):
        folder = os.path.join(prefix or self.prefix, 'etc/ssh')
        self.assertEqual(sorted(os.listdir(folder)), sorted((*FILES, *others)))
        for kind in KINDS:
            base = base_of(prefix or self.prefix, kind)
            self.assertEqual(self.lab.keygen('-y', '-f', base + '.tpm').stdout, read(base + '.pub'))
            self.assertEqual((mode(base + '.tpm'), mode(base + '.pub')), (0o600, 0o644))
        for path in (folder, os.path.dirname(folder)):
            self.assertEqual(mode(path), 0o755)


class Existing(HostKeys, Stocked):
    """Both keys are there to begin with."""

    FOLDERS = ('prefix',)

    @classmethod
    def fill(cls, lab):
        cls.said = lab.keygen('-A', '-f', lab.path('prefix'), umask=0o077).stdout

    def setUp(self):
        super().setUp()
        self.rename_known_tpm('prefix')

    def times(self):
        return {name: os.stat(os.path.join(self.folder, name)).st_mtime_ns for name in os.listdir(self.folder)}

    def test_both_keys_were_made_with_their_folders_and_sign(self):
        self.assert_complete()
        self.assertEqual((mode(self.prefix), mode(os.path.join(self.folder, KNOWN))), (0o755, 0o644))
        self.assertFalse(os.path.exists(self.lab.path('state/ssh-tpm')))
        for kind, (bits, label) in TYPES.items():
            key = read_key(self.base(kind))
            self.assertIn(label, self.said)
            self.assertEqual(key.comment, 'root@' + socket.gethostname())
            words = self.lab.ssh_keygen('-l', '-f', key.pub).split()
            self.assertEqual((words[0], words[-1]), (bits, f'({label})'))
            fields = keyfile.fields(key.tpm)
            self.assertTrue(keyfile.attributes(keyfile.public_area(fields)[1]) & keyfile.NO_DA)
            self.assertNotEqual(dict(fields)[keyfile.EMPTY_AUTH][-1], 0)
        self.assert_new_agent_signs(*(read_key(self.base(kind)) for kind in TYPES), key_dir=self.folder)

    def test_a_second_run_changes_nothing_and_needs_no_tpm(self):
        before = contents(self.prefix), self.times()
        for env in ({}, self.lab.no_tpm):
            result = self.make(env=env)
            self.assertEqual((contents(self.prefix), self.times()), before)
            self.assertEqual((result.stdout, result.stderr), ('', ''))

    def test_the_key_that_is_missing_is_made_and_the_other_kept(self):
        for kind, other in (('ecdsa', 'rsa'), ('rsa', 'ecdsa')):
            kept, times = contents(self.prefix), self.times()
            self.remove(kind)
            result = self.make('-q')
            self.assertEqual((result.stdout, result.stderr), ('', ''))
            self.assert_complete()
            after = contents(self.prefix)
            for ending in ('.tpm', '.pub'):
                path = self.base(other) + ending
                self.assertEqual(after[path], kept[path])
                self.assertEqual(os.stat(path).st_mtime_ns, times[os.path.basename(path)])
                self.assertNotEqual(after[self.base(kind) + ending], kept[self.base(kind) + ending])

    def test_a_half_is_completed_without_a_tpm(self):
        before = contents(self.prefix)
        for spoil in (os.unlink, lambda path: os.truncate(path, 0)):
            for kind in KINDS:
                spoil(self.base(kind) + '.pub')
                self.make(env=self.lab.no_tpm)
                self.assertEqual(contents(self.prefix), before)
                self.assertEqual(mode(self.base(kind) + '.pub'), 0o644)
        self.remove('rsa')  # which cannot be made
        os.unlink(self.base('ecdsa') + '.pub')
        self.assert_error(self.make(env=self.lab.no_tpm, status=None), 'hint: ')
        self.assertEqual(read(self.base('ecdsa') + '.pub').encode(), before[self.base('ecdsa') + '.pub'])

    def assert_kept(self, *words):
        before = contents(self.prefix)
        self.assert_error(self.make(status=None), *words)
        after = contents(self.prefix)
        self.assertEqual({path: after[path] for path in before}, before)

    def test_a_public_half_of_another_key_or_without_its_key_is_an_error_and_kept(self):
        shutil.copy(self.base('rsa') + '.pub', self.base('ecdsa') + '.pub')
        self.assert_kept('ssh_tpm_host_ecdsa_key.pub: holds another key', 'hint: remove it')
        os.unlink(self.base('ecdsa') + '.tpm')
        self.assert_kept('without its private half', 'hint: ')
        self.assertFalse(os.path.exists(self.base('ecdsa') + '.tpm'))
        os.unlink(self.base('ecdsa') + '.pub')
        self.make()
        self.assert_complete()

    def test_a_broken_key_is_an_error_and_kept_and_the_other_is_made(self):
        self.remove('ecdsa')
        for content in ('', 'broken\n'):
            self.lab.write('prefix/etc/ssh/ssh_tpm_host_rsa_key.tpm', content)
            self.assert_kept('ssh_tpm_host_rsa_key.tpm')
        self.assertEqual(self.lab.keygen('-y', '-f', self.base('ecdsa') + '.tpm').stdout,
                         read(self.base('ecdsa') + '.pub'))

    def test_host_keys_of_other_kinds_are_nobodys_business(self):
        self.remove('ecdsa')
        others = {}
        for name in ('ssh_host_ecdsa_key', 'ssh_host_ecdsa_key.pub', 'sshd_config'):
            path = self.lab.write('prefix/etc/ssh/' + name, 'something else\n')
            others[path] = b'something else\n'
        os.chmod(self.folder, 0o750)
        self.make()
        after = contents(self.folder)
        self.assertEqual({path: after[path] for path in others}, others)
        self.assertEqual(len(after), len(others) + len((*FILES, KNOWN)))
        self.assertEqual(mode(self.folder), 0o750)

    def test_several_at_once_agree_on_one_key(self):
        # One emulator, which they use in turns, as they would a TPM behind its resource manager.
        env = {'SSH_TPM_TCTI': None, 'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')}
        for number, (options, files) in enumerate([((), FILES)] * 5 + [
                (('--hierarchy', 'e'), [name for name in FILES if name.endswith('.pub')])]):
            prefix = self.lab.path(f'prefix{number}')
            if not options and number > 0:  # of RSA keys, which take long, there is one already in all rounds but one
                shutil.copytree(self.prefix, prefix)
                for path in (base_of(prefix, 'ecdsa') + '.tpm', base_of(prefix, 'ecdsa') + '.pub',
                             os.path.join(prefix, 'etc/ssh', KNOWN)):
                    os.unlink(path)
            runs = [self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', prefix, '--swtpm', *options, env=env)
                    for _ in range(3)]
            for run in runs:
                self.assertEqual(run.wait(), 0, run.log())
                self.assertNotIn('error', run.log())
            self.assertEqual(sorted(os.listdir(os.path.join(prefix, 'etc/ssh'))), files)
            if not options:
                self.assert_complete(prefix, others=())  # the emulator is known in the folder of its state

    @can_mount
    def test_a_read_only_place_is_an_error_where_something_is_missing(self):
        result = on_read_only(self, env=self.lab.no_tpm)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))
        os.unlink(self.base('rsa') + '.pub')
        self.assert_error(on_read_only(self), 'ssh_tpm_host_rsa_key.pub', 'Read-only file system')


def on_read_only(test, *options, env=None):
    # nosuid, nodev: a plain user may not take them from a mount that has them, as /tmp may
    script = f'mount --bind {test.prefix} {test.prefix} && mount -o remount,ro,bind,nosuid,nodev {test.prefix} && ' \
             'exec "$@"'
    return test.lab.run(*WITH_MOUNTS, script, 'sh', f'{test.lab.bin}/ssh-tpm-keygen', '-A',
                        '-f', test.prefix, *options, env={**EMPTY, **(env or {})})


class Missing(HostKeys, WithTpm):
    """No key is there to begin with."""

    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)

    def make_fast(self, *options, lacks='rsa', **more):
        """A TPM that has no RSA keys, which take long."""
        self.probe.fail(LACKS[lacks])
        return self.make('--tcti', self.probe.tcti, *options, **more)

    def test_no_tpm_and_no_folder_are_errors_that_leave_no_key(self):
        self.assert_error(self.make(env=self.lab.no_tpm, status=None), 'hint: ')
        self.assertEqual(os.listdir(self.folder) if os.path.exists(self.folder) else [], [])
        shutil.rmtree(self.prefix, ignore_errors=True)
        self.lab.write('prefix', 'a file, no folder\n')
        self.assert_error(self.make(status=None), self.prefix)
        self.tpm.assert_no_handles()

    def test_what_the_tpm_lacks_is_warned_of_and_the_rest_is_made(self):
        for lacked, made in (('rsa', 'ecdsa'), ('ecdsa', 'rsa')):
            shutil.rmtree(self.prefix, ignore_errors=True)
            for lacks in (lacked, 'both'):  # the second time, it is asked for what is still missing
                result = self.make_fast(lacks=lacks)
                self.assertRegex(result.stderr, '(?m)^ssh-tpm-keygen: warning: this TPM makes no ')
                self.assertEqual(sorted(os.listdir(self.folder)),
                                 [f'ssh_tpm_host_{made}_key.pub', f'ssh_tpm_host_{made}_key.tpm', KNOWN])
        shutil.rmtree(self.prefix)
        self.assert_error(self.make_fast(lacks='both', status=None), 'neither ECDSA 256 nor RSA 2048')
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_type_is_made_alone_and_in_the_size_that_is_asked_for(self):
        for number, (options, kind, shown) in enumerate((
                (('-t', 'ecdsa', '-b', '384'), 'ecdsa', ['384', '(ECDSA)']),
                (('-t', 'ecdsa-sha2-nistp521'), 'ecdsa', ['521', '(ECDSA)']),
                (('-t', 'rsa'), 'rsa', ['2048', '(RSA)']))):
            self.prefix = self.lab.path(f'prefix{number}')
            self.make(*options)
            self.assertEqual(sorted(os.listdir(self.prefix + '/etc/ssh')),
                             [f'ssh_tpm_host_{kind}_key.{ending}' for ending in ('pub', 'tpm')] + [KNOWN])
            words = self.lab.ssh_keygen('-l', '-f', self.base(kind) + '.pub').split()
            self.assertEqual([words[0], words[-1]], shown)
            self.assert_new_agent_signs(read_key(self.base(kind)), key_dir=self.prefix + '/etc/ssh')

    def test_a_key_of_another_size_stays_with_a_warning(self):
        self.make('-t', 'ecdsa', '-b', '384')
        before = contents(self.prefix)
        for options in (('-b', '256'), ('-b', '521')):
            result = self.make('-t', 'ecdsa', *options, env=self.lab.no_tpm)
            self.assertIn(f'warning: {self.base("ecdsa")}.tpm: stays, a key of 384 bits and not of {options[1]}\n',
                          result.stderr)
        for options in (('-b', '384'), ()):
            self.assertEqual(self.make('-t', 'ecdsa', *options, env=self.lab.no_tpm).stderr, '')
        self.assertEqual(contents(self.prefix), before)

    def test_a_type_or_size_that_cannot_be_is_an_error(self):
        result = self.make_fast('-t', 'rsa', lacks='both', status=None)
        self.assert_error(result, 'RSA 2048', 'hint: ')
        self.assertEqual(os.listdir(self.folder), [])
        for options, *words in ((('-t', 'rsa', '-b', '1024'), '-b 1024: no such size'), (('-b', '384'), '-b', '-t'),
                                (('--hierarchy', 'e', '-t', 'ecdsa', '-b', '384'), 'no ECDSA 384 key with --hierarchy',
                                 'ECDSA 256')):
            self.assert_error(self.make(*options, status=None), *words, status=2)
        self.assertEqual(os.listdir(self.folder), [])
        self.make('--hierarchy', 'owner', '-t', 'ecdsa')
        self.assertEqual(os.listdir(self.folder), ['ssh_tpm_host_ecdsa_key.pub'])
        self.tpm.assert_no_handles()

    def test_an_rsa_key_of_the_owner_hierarchy_that_is_alone_is_compared(self):
        self.make('-t', 'rsa', '--hierarchy', 'owner')
        self.make('-t', 'rsa', '--hierarchy', 'owner')
        before = contents(self.folder)
        self.tpm.tool('tpm2_clear', '-c', 'p')
        self.assert_error(self.make('-t', 'rsa', '--hierarchy', 'owner', status=None), 'holds another key')
        self.assertEqual(contents(self.folder), before)

    # From an image build

    def test_the_prefix_may_be_relative_or_end_in_a_slash(self):
        for prefix in ('image', 'image2/', self.lab.path('image3') + '/'):
            self.prefix = prefix
            self.make_fast(umask=0o077)
            folder = os.path.join(self.lab.path(prefix.rstrip('/')), 'etc/ssh')
            self.assertEqual(sorted(os.listdir(folder)),
                             ['ssh_tpm_host_ecdsa_key.pub', 'ssh_tpm_host_ecdsa_key.tpm', KNOWN])

    def test_the_comment_may_be_another(self):
        self.make_fast('-C', 'root@image')
        self.assertEqual(read(self.base('ecdsa') + '.pub').split()[2], 'root@image')
        result = self.lab.keygen('-A', '-f', self.lab.path('other'), '-C', 'a\nb', status=None)
        self.assert_error(result, '-C: ', status=2)

    # From an initramfs

    def test_no_home_and_no_user_are_needed(self):
        self.make(env=EMPTY)
        self.assert_complete()
        self.assertEqual(self.make(env=EMPTY).stderr, '')

    @can_mount
    def test_no_passwd_is_needed(self):
        self.probe.fail(LACKS['rsa'])
        self.lab.run(*WITH_MOUNTS, NO_PASSWD + ' && exec "$@"', 'sh', f'{self.lab.bin}/ssh-tpm-keygen', '-A',
                     '-f', self.prefix, '--tcti', self.probe.tcti, env=EMPTY, status=0)
        self.assertEqual(read_key(self.base('ecdsa')).comment, 'root@' + socket.gethostname())

    @can_mount
    def test_a_read_only_place_is_an_error_before_the_tpm_has_worked(self):
        os.makedirs(self.folder)
        for options in ((), ('--hierarchy', 'owner')):
            result = on_read_only(self, '--tcti', self.probe.tcti, *options)
            self.assert_error(result, self.folder, 'Read-only file system', 'hint: ')
        self.assertEqual(self.probe.take(), [])
        shutil.rmtree(self.prefix)
        os.mkdir(self.prefix)
        self.assert_error(on_read_only(self), self.prefix, 'Read-only file system')

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
        self.make_fast(env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'owned'})
        self.assertNotIn(b'owned', self.probe.bytes())
        shutil.rmtree(self.prefix)
        asked = Askpass(self.lab, 'owned')
        self.make('-o', env=asked.env)
        self.assert_complete()
        self.assertEqual(len(asked.questions()), 1)
        self.make('-o', env=asked.env)  # nothing is missing: nobody is asked
        self.assertEqual(len(asked.questions()), 1)
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
