#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whatever goes wrong, keygen says what, exits 1 and leaves every file as it was."""

import os
import shutil
import signal
import unittest

from lab import AS_NOBODY, NO_LEAK_CHECK, WITH_MOUNTS, contents, needs_mounts, needs_root, read, read_key
from softkey import SoftKey
from stock import WithTpm
from swtpm import STORAGE_KEY
from terminal import Terminal

PIN, OTHER = 'a pin 31415', 'another 27182'
PAGE = 4096  # what a small file takes
# Runs a program ($3…) in a namespace of its own where the folder $1 is a file system of 1 MiB with the files
# of $2 in it, full but for $ROOM bytes; what lies there afterwards is copied back to $2.
ON_A_FULL_DISK = '''
folder=$1 files=$2; shift 2
mount -t tmpfs -o size=1m none "$folder" || exit 99
cp -p "$files"/* "$folder" 2>/dev/null
head -c "$ROOM" /dev/zero > "$folder/.room"
cat /dev/zero > "$folder/.ballast" 2>/dev/null
rm "$folder/.room"
"$@"; status=$?
rm "$folder/.ballast" "$files"/* 2>/dev/null
cp -pR "$folder/." "$files" || exit 99
exit $status'''

can_mount = needs_mounts('mount -t tmpfs none /mnt')


class BadLuck(WithTpm):
    def setUp(self):
        super().setUp()
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'

    def modes_on(self, path):
        """Every mode that reads a file, applied to this one."""
        parent = self.lab.write('parent.pem', 'never read\n')
        out = self.lab.path('keys/out')
        return (('-p', '-f', path, '-P', '', '-N', PIN), ('-c', '-f', path, '-C', 'new'), ('-y', '-f', path),
                ('-l', '-f', path), ('--print-pubkey', path), ('--import', path, '-N', '', '-f', out),
                ('--wrap', path, '--wrap-with', parent, '-N', '', '-f', out))

    def test_a_missing_file_a_folder_a_loop_and_half_a_key_are_named(self):
        loop, key = self.lab.path('loop'), self.lab.make_key('x')
        os.symlink(loop, loop)
        for path in (self.lab.path('absent.tpm'), self.lab.make_folder('folder'), loop,
                     self.lab.path('folder/../absent/x.tpm'), self.lab.write('half.tpm', read(key.tpm)[:150])):
            for options in self.modes_on(path):
                with self.subTest(options=options):
                    before = self.tpm.everything_else()
                    self.assert_error(self.lab.keygen(*options, status=None), path)
                    self.assertEqual(self.tpm.everything_else(), before)

    def test_a_huge_file_and_a_device_without_end_do_not_hold_it_up(self):
        huge = self.lab.path('huge')
        with open(huge, 'wb') as file:
            file.truncate(1 << 34)
        for path in (huge, '/dev/zero'):
            for options in self.modes_on(path):
                with self.subTest(options=options):
                    self.assert_error(self.lab.keygen(*options, status=None, deadline=20), path)

    @needs_root
    def test_an_unreadable_file_and_an_unwritable_folder_are_named(self):
        key, soft = self.lab.make_key('x'), SoftKey(self.lab, self.lab.path('keys/soft'))
        program = self.lab.program_for_others() + '/ssh-tpm-keygen'
        for path in (key.tpm, soft.path):
            os.chmod(path, 0)
        os.chmod(self.lab.keys, 0o755)
        self.tpm.open_to_all()
        attempts = [(options, key.tpm) for options in self.modes_on(key.tpm)]
        attempts += [(('--import', soft.path, '-N', ''), soft.path),
                     (('-N', '', '-f', self.lab.path('keys/y')), self.lab.path('keys'))]
        before = self.tpm.everything_else()
        for options, path in attempts:
            with self.subTest(options=options):
                result = self.lab.run(program, *options, **AS_NOBODY,
                                      env={'XDG_STATE_HOME': self.lab.path('nowhere'), **NO_LEAK_CHECK})
                self.assert_error(result, path)
                self.assertRegex(result.stderr, r'(?i)permission')
                self.assertEqual(self.tpm.everything_else(), before)

    @can_mount
    def test_a_full_disk_changes_nothing_and_is_named(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        full, parent = self.lab.path('full'), self.lab.path('parent.pem')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY,
                       '-c', self.lab.path('parent.ctx'), '-f', 'pem', '-o', parent)
        self.lab.make_key('x', pin=PIN)
        new, comment = ('-N', '', '-f', full + '/new'), ('-C', 'a new comment')
        load, wrap = ('--import', soft.path, *new), ('--wrap', soft.path, '--wrap-with', parent, *new)
        # A page for the first file of a pair leaves none for the second.
        for options, room, made in ((new, 0, ()), (new, PAGE, ()), (('-t', 'rsa', *new), PAGE, ()),
                                    (('-p', '-f', full + '/x.tpm', '-P', PIN, '-N', OTHER), 0, ()),
                                    (('-c', '-f', full + '/x.tpm', *comment), 0, ()),
                                    (('-c', '-f', full + '/x.tpm', *comment), PAGE, ()),
                                    (('-c', '-f', full + '/x.pub', *comment), 0, ()),
                                    (load, 0, ()), (load, PAGE, ()), (wrap, 0, ()), (wrap, PAGE, ()),
                                    (('-A', '-f', full), 0, ()), (('-A', '-f', full), PAGE, ('tpms',)),
                                    (('-A', '-f', full), 4 * PAGE, ('.pub', '.tpm', 'tpms'))):
            with self.subTest(options=options, room=room):
                files = self.lab.path(f'files{len(os.listdir(self.lab.folder))}')
                shutil.copytree(self.lab.keys, files)
                key = read_key(files + '/x')
                before = contents(files)
                result = self.lab.run(*WITH_MOUNTS, ON_A_FULL_DISK, 'sh', self.lab.make_folder('full'),
                                      files, self.ours, *options, env={'ROOM': str(room)})
                self.assert_error(result, 'o space left on device', full)
                after = contents(files)
                self.assertEqual({path: after.get(path) for path in before}, before)
                new = sorted(path for path in set(after) - set(before) if not os.path.isdir(path))
                self.assertEqual(tuple(path[-4:] for path in new), made)
                if '.tpm' in made:
                    self.assertEqual(self.lab.keygen('-y', '-f', new[1]).stdout, read(new[0]))
                self.assertEqual(read_key(key.path), key)
        self.tpm.assert_no_handles()

    @can_mount
    def test_on_a_full_disk_an_overwritten_pair_stays_whole(self):
        folder = self.lab.make_folder('full')
        for room in (0, PAGE):
            files = self.lab.make_folder(f'files{room}')
            self.lab.make_key('x', pin=PIN, folder=files)
            before = contents(files)
            with Terminal(self.lab, *WITH_MOUNTS, ON_A_FULL_DISK, 'sh', folder, files, self.ours,
                          '-N', '', '-f', folder + '/x', env={'ROOM': str(room)}) as terminal:
                terminal.answer('Overwrite (y/n)? ', 'y')
                self.assertEqual(terminal.finish(), 1)
                self.assertIn('No space left on device', terminal.transcript)
            self.assertEqual(contents(files), before)

    def test_control_c_at_any_question_brings_echo_back_and_changes_nothing(self):
        key = self.lab.make_key('x', pin=PIN)
        soft = SoftKey(self.lab, self.lab.path('soft'), passphrase=PIN)
        old, first = ('Enter old passphrase: ', PIN), ('new passphrase (empty for no passphrase): ', OTHER)
        again, file = ('same passphrase again: ', OTHER), ('Enter file in which the key is (', key.tpm)
        create = '(empty for no passphrase): ', OTHER
        change, load = ('-p', '-f', key.tpm), ('--import', soft.path)
        talks = ((change, (old,)), (change, (old, first)), (change, (old, first, again)), (('-p',), (file,)),
                 (('-c', '-f', key.tpm), (('New comment: ', ''),)), (('-l',), (file,)),
                 (load, ((f'passphrase for {soft.path}: ', PIN),)),
                 (load, ((f'passphrase for {soft.path}: ', PIN), ('(empty for no passphrase): ', OTHER))),
                 (('-o', '-f', self.lab.path('keys/y')), (('wner password', ''),)),
                 (('-N', '', '-f', key.path), (('Overwrite (y/n)? ', ''),)),
                 (('-f', self.lab.path('keys/y')), (create,)), (('-f', self.lab.path('keys/y')), (create, again)))
        before = self.tpm.everything_else()
        for options, answers in talks:
            with self.subTest(options=options, at=answers[-1][0]):
                with Terminal(self.lab, self.ours, *options) as terminal:
                    for prompt, answer in answers[:-1]:
                        terminal.answer(prompt, answer)
                    terminal.read_until(answers[-1][0])
                    terminal.interrupt()
                    self.assertIn(terminal.finish(), (1, 128 + signal.SIGINT, -signal.SIGINT))
                    self.assertTrue(terminal.echoes())
                self.assertEqual(self.tpm.everything_else(), before)
                held = self.tpm.handles()
                self.tpm.craft('tpm2_getcap', 'handles-transient')  # flushes, for the others' sake
                self.assertEqual(held, [])

    def test_output_that_cannot_be_written_is_an_error(self):
        key = self.lab.make_key('x')
        for options in (('-y', '-f', key.tpm), ('-l', '-f', key.tpm), ('-lv', '-f', key.tpm), ('--supported',),
                        ('-c', '-f', '-', '-C', 'new')):
            with self.subTest(options=options):
                self.assert_error(self.lab.run('sh', '-c', '"$@" > /dev/full', 'sh', self.ours, *options,
                                               stdin=read(key.tpm)))


if __name__ == '__main__':
    unittest.main()
