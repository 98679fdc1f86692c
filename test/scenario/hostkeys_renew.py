#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys --renew: host keys that work again after the TPM was cleared or replaced, and nothing lost."""

import base64
import collections
import os
import re
import shutil
import socket
import time
import unittest

from agent import Agent
from hierarchy import KINDS, HierarchyAgent, base_of, login, read_public
from lab import AS_NOBODY, NO_LEAK_CHECK, Lab, contents, needs_root, read
from renewal import DEAD, NOTHING, OTHER, RenewalStock
from softkey import SoftKey
from sshd import Sshd
from swtpm import Probe, Swtpm
from terminal import Terminal

# The calls of which others see something; strace kills on the way into a call, before it has an effect.
CALLS = ('write', 'fchmod', 'fsync', 'link', 'unlink', 'unlinkat', 'renameat', 'renameat2')


class Renewal(RenewalStock):
    def test_keys_that_work_stay(self):
        self.assert_nothing_to_do(*(f'{base_of(self.root, kind)}.tpm: works' for kind in KINDS))
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')  # at the place of the storage key
        self.assert_nothing_to_do(stderr="ssh-tpm-hostkeys: the key at 0x81000001 is not this TPM's standard storage "
                                         'key; it is not used\n')

    def test_without_a_terminal_it_is_refused_after_both_names_were_shown(self):
        known = self.name()
        self.clear()
        command = f'DESTDIR={self.root} ssh-tpm hostkeys --renew --yes'
        result = self.assert_refused(f'hint: if you know why, {command} goes on', options=())
        (shown,) = re.findall(r'known Name: +([0-9a-f]+)', result.stdout)
        (present,) = re.findall(r'present Name: +([0-9a-f]+)', result.stdout)
        self.assertEqual(shown, known)
        self.tpm.make_persistent()
        self.assertEqual(present, re.search(r'name: (\w+)', self.tpm.tool('tpm2_readpublic', '-c', '0x81000001'))[1])
        self.assertEqual(result.stdout.count(DEAD), len(KINDS))
        for kind in KINDS:
            self.assertIn(self.lab.fingerprint(read_public(self.root, kind)), result.stdout)

    def test_a_person_says_yes_or_no(self):
        self.clear()
        before = contents(self.folder)
        for answer, status in ('n', 1), ('', 1), ('y', 0):
            with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew',
                          env={'DESTDIR': self.root}) as terminal:
                self.assertIn(OTHER, terminal.read_until('Go on (y/N)? '))
                terminal.type(answer + '\n')
                self.assertEqual(terminal.popen.wait(60), status)
            if status:
                self.assertEqual(contents(self.folder), before)
        self.assert_kept(before)
        self.assert_work(*KINDS)

    def test_the_storage_key_that_was_shown_is_known_from_then_on_and_no_other(self):
        self.drop('rsa')
        self.clear()
        os.unlink(self.known)
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew', env={'DESTDIR': self.root}) as terminal:
            shown = terminal.read_until('Go on (y/N)? ')
            self.assertIn('- the present storage key becomes the known one', shown)
            self.clear()
            terminal.type('y\n')
            self.assertEqual(terminal.popen.wait(60), 1)
        self.assertIn('present Name: ' + self.name(), shown)
        self.assert_refused('hint: if you know why', options=())
        self.renew('--yes', status=0)
        self.assert_work('ecdsa')

    def test_sshd_is_not_told_of_the_certificate_of_a_lost_key(self):
        drop_in = self.root + '/etc/ssh/sshd_config.d/70-ssh-tpm.conf'
        self.lab.run(f'{self.lab.bin}/ssh-tpm-hostkeys', '--install-sshd-config', env={'DESTDIR': self.root}, status=0)
        text = read(drop_in)
        self.assertEqual(text.count('HostCertificate'), 1)
        self.clear()
        self.assertIn(f'wrote {drop_in}\n', self.renew('--yes', status=0).stdout)
        without = re.sub('HostCertificate .*\n', '', text)
        self.assertEqual(read(drop_in), without)
        self.assertNotIn(drop_in, self.renew('--yes', status=0).stdout)
        self.lab.write(drop_in, text)  # as a run that was killed leaves it
        self.assertIn(f'wrote {drop_in}\n', self.renew('--yes', status=0).stdout)
        self.assertEqual(read(drop_in), without)
        for mine in text + '# mine\n', text + '# mine\n' * 1000:
            self.lab.write(drop_in, mine)
            self.renew('--yes', status=0)
            self.assertEqual(read(drop_in), mine)
        os.unlink(drop_in)
        os.mkdir(drop_in)
        self.clear()
        printed = self.renew('--yes', status=1)
        self.assertIn(drop_in, printed.stderr)
        self.assertIn('To publish:', printed.stdout)

    def test_new_keys_of_the_same_types_and_sizes_are_known_by_the_printed_lines(self):
        former, before, lines = self.name(), contents(self.folder), {}
        self.clear()
        printed = self.renew('--yes', status=0).stdout
        self.assertNotEqual(self.name(), former)
        self.assert_kept(before)
        for kind, bits in zip(KINDS, (384, 2048)):
            key = read_public(self.root, kind)
            self.assertTrue(self.lab.ssh_keygen('-l', '-f', key.pub).startswith(f'{bits} '))
            self.assertIn(self.lab.ssh_keygen('-l', '-f', key.pub), printed.replace('  ', ''))
            self.assertIn(f'ssh-keygen -r {socket.gethostname()} -f {key.pub}\n', printed)
            (lines[kind],) = re.findall(rf'(?m)^  {re.escape(socket.gethostname())} ({key.algorithm} .*)$', printed)
        self.assertEqual(read_public(self.root, 'ecdsa').comment, 'a comment')
        self.assertFalse(os.path.exists(base_of(self.root, 'ecdsa') + '-cert.pub'))
        self.assert_work(*KINDS)
        agent, user = Agent(self.lab, '--no-seal', key_dir=self.folder), SoftKey(self.lab, self.lab.path('user'))
        server = Sshd(self.lab, f'HostKeyAgent {agent.socket}', authorized=[user.pub],
                      host_keys=[base_of(self.root, kind) for kind in KINDS])
        for line in lines.values():
            known = self.lab.write('known_hosts', f'[127.0.0.1]:{server.port} {line}\n')
            result = login(self.lab, server, user, known, '-o', f'HostKeyAlgorithms={line.split()[0]},rsa-sha2-512')
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        agent.stop()
        self.assert_nothing_to_do()

    def test_a_second_time_on_the_same_day_nothing_is_overwritten(self):
        self.drop('rsa')
        generations = [contents(self.folder)]
        for _ in range(3):
            self.clear()
            self.assertRegex(self.renew('--yes', status=0).stderr,
                             f'(?m)^ssh-tpm-hostkeys: warning: .*{OTHER}.* an attacker answers in its place')
            for before in generations:
                self.assert_kept(before)
            generations.append(contents(self.folder))
        self.assertEqual(len([name for name in os.listdir(self.folder) if '.tpm.old-' in name]), 3)
        self.assert_work('ecdsa')

    def test_where_no_old_name_can_be_given_the_files_stay(self):
        self.drop('rsa')
        self.clear()
        before = contents(self.folder)
        for number in 1, 2, 2:  # a file that was linked stays so
            result = self.lab.run('strace', '-qq', '-o', '/dev/null', '-e', 'trace=link',
                                  '-e', f'inject=link:error=EPERM:when={number}', f'{self.lab.bin}/ssh-tpm-hostkeys',
                                  '--renew', '--yes', env={'DESTDIR': self.root, **NO_LEAK_CHECK})
            self.assert_error(result, 'is not renewed: ', 'Operation not permitted', 'hint: lsattr ', 'findmnt -T ',
                              tool='ssh-tpm-hostkeys')
            after = contents(self.folder)
            self.assertEqual({path: after[path] for path in before if path != self.known},
                             {path: before[path] for path in before if path != self.known})
        other = base_of(self.root, 'ecdsa') + time.strftime('.pub.old-%Y-%m-%d')
        os.unlink(other) if os.path.exists(other) else None
        os.symlink('ssh_tpm_host_ecdsa_key.pub', other)
        self.renew('--yes', status=0)
        self.assert_kept(before)
        self.assert_work('ecdsa')

    def test_a_public_file_that_it_writes_is_kept_by_keygen(self):
        self.drop('rsa')
        self.clear()
        public = base_of(self.root, 'ecdsa') + '.pub'
        os.unlink(public)
        slow = self.lab.start('strace', '-qq', '-o', self.lab.path('trace'), '-P', public, '-e', 'trace=all', '-e',
                              'inject=newfstatat,lstat:delay_exit=2000000:when=2', f'{self.lab.bin}/ssh-tpm-keygen',
                              '-A', '-t', 'ecdsa', '-f', self.root, env=NO_LEAK_CHECK)
        time.sleep(0.5)
        self.renew('--yes', status=0)
        slow.wait()
        self.assert_work('ecdsa')

    def test_the_dead_one_of_two_keys_is_renewed(self):
        other = Lab()
        self.addCleanup(other.close)
        Swtpm(other)
        self.drop('ecdsa')
        other.make_key('ssh_tpm_host_ecdsa_key', folder=self.folder)
        before = contents(self.folder)
        result = self.renew('--yes', status=0)
        self.assertNotIn(OTHER, result.stdout + result.stderr)
        self.assertRegex(result.stderr, 'warning: the storage key "owner-ecc" is the known one, so .* was not cleared'
                         ".* an attacker answers in the TPM's place\n")
        self.assertIn(f'known Name:   {self.name()}\n  present Name: {self.name()}\n', result.stdout)
        self.assertEqual(result.stdout.count(DEAD), 1)
        after = contents(self.folder)
        for path in (self.known, base_of(self.root, 'rsa') + '.tpm', base_of(self.root, 'rsa') + '.pub'):
            self.assertEqual(after[path], before[path])
        self.assert_kept(before)
        self.assert_work(*KINDS)

    def test_where_no_name_is_known_it_says_that_nothing_was_compared(self):
        self.drop('rsa')
        self.clear()
        os.unlink(self.known)
        self.assertIn('so nothing was compared', self.assert_refused('hint: if you know why', options=()).stdout)
        result = self.renew('--yes', status=0)
        self.assertRegex(result.stderr, '(?m)^ssh-tpm-hostkeys: warning: .*is known, so nothing was compared')
        self.assertNotIn(OTHER, result.stdout + result.stderr)
        self.assert_work('ecdsa')

    def test_a_damaged_key_file_is_kept_and_a_key_of_the_same_type_and_size_made(self):
        self.drop('rsa')
        base = base_of(self.root, 'ecdsa')
        for content, public, bits in (('broken', None, 384), ('', 'broken', 256)):
            self.lab.write(base + '.tpm', content, mode=0o600)
            if public:
                self.lab.write(base + '.pub', public)
            agent = Agent(self.lab, '--no-seal', key_dir=self.folder)
            agent.process.wait_line('hint: ssh-tpm hostkeys --renew')
            agent.stop()
            before = contents(self.folder)
            refused = self.lab.keygen('-A', '-t', 'ecdsa', '-f', self.root, status=None)
            self.assert_error(refused, base + '.tpm: ', f'hint: DESTDIR={self.root} ssh-tpm hostkeys --renew')
            self.assertIn('The file of this host key is damaged', self.renew('--yes', status=0).stdout)
            self.assert_kept(before)
            self.assertTrue(self.lab.ssh_keygen('-l', '-f', base + '.pub').startswith(f'{bits} '))
            self.lab.keygen('-A', '-t', 'ecdsa', '-f', self.root)
            self.assert_work('ecdsa')
        self.assert_nothing_to_do()

    def test_a_key_file_that_cannot_be_used_for_any_reason_counts_as_damaged(self):
        base = base_of(self.root, 'ecdsa')
        good = read(base + '.tpm')
        head, body, tail = re.split('(?<=KEY-----\n)(.*\n)(?=-----END)', good, flags=re.S)
        self.clear()  # after which the other key is dead
        for place, bit in ((6, 1), (22, 1), (32, 1), (33, 1), (151, 64)):  # type, parent, attributes, sizes
            with self.subTest(place=place):
                content = bytearray(base64.b64decode(body))
                content[place] ^= bit
                self.lab.write(base + '.tpm', head + base64.encodebytes(content).decode() + tail, mode=0o600)
                if place == 6:
                    self.assert_error(self.lab.keygen('-A', '-t', 'ecdsa', '-f', self.root, status=None),
                                      f'hint: DESTDIR={self.root} ssh-tpm hostkeys --renew keeps this file')
                self.assertIn('The file of this host key is damaged', self.renew('--yes', status=0).stdout)
                self.assert_work(*KINDS)

    def test_keys_under_the_endorsement_hierarchy_need_no_owner_password(self):
        self.drop(*KINDS)
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--parent-handle', 'e', '-f', self.root)
        self.tpm.tool('tpm2_changeeps')
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'secret')
        result = self.renew('--yes', status=0)
        self.assertRegex(result.stderr, f'"endorsement-ecc" {OTHER}: .* a new seed .clearing it changes nothing here')
        self.assertNotIn('owner-ecc', result.stdout)
        self.assert_work('ecdsa')

    def test_the_owner_password_is_asked_for_before_the_question(self):
        self.drop('rsa')
        self.tpm.make_persistent()
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'secret')
        self.assert_nothing_to_do()
        self.lab.write(base_of(self.root, 'ecdsa') + '.tpm', 'broken', mode=0o600)
        result = self.renew('--yes', status=0)  # under the persistent key, which is known
        self.assertIn(f'"owner-ecc" of the TPM:\n  known Name:   {self.name()}\n', result.stdout)
        self.clear()
        self.tpm.make_persistent()
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'secret')
        self.assertEqual(self.assert_refused('the owner hierarchy has a password', 'hint: -o asks').stdout, '')
        self.renew('--yes', env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'secret'}, status=0)
        self.assert_work('ecdsa')

    def test_another_persistent_parent_than_the_known_one_is_told(self):
        self.drop(*KINDS)
        self.tpm.make_persistent()
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--parent-handle', '0x81000001', '-f', self.root)
        self.assert_nothing_to_do()
        self.clear()
        self.tpm.make_persistent()
        result = self.renew('--yes', status=0)
        self.assertRegex(result.stderr, f'"0x81000001" {OTHER}: the TPM was cleared')
        self.assert_work('ecdsa')

    def test_a_key_under_a_persistent_parent_that_is_gone_is_renewed(self):
        self.drop(*KINDS)
        self.tpm.make_persistent()
        base = base_of(self.root, 'ecdsa')
        self.lab.keygen('-q', '-N', '', '--parent-handle', '0x81000001', '-f', base)
        self.clear()
        self.assertIn(DEAD, self.renew('--yes', status=0).stdout)
        self.assert_work('ecdsa')

    def test_where_all_keys_were_removed_the_storage_key_is_accepted_and_keygen_makes_them(self):
        self.drop(*KINDS)
        self.assert_refused('there are no host keys', f'hint: DESTDIR={self.root} ssh-tpm keygen -A makes them')
        self.clear()
        self.assert_error(self.lab.keygen('-A', '-f', self.root, status=None), OTHER, 'ssh-tpm hostkeys --renew')
        key = base_of(self.root, 'ecdsa') + '.tpm'
        os.mkdir(key)
        result = self.renew('--yes', status=1)
        self.assert_error(result, key + ': is a directory', f'DESTDIR={self.root} ssh-tpm keygen -A makes a new key',
                          tool='ssh-tpm-hostkeys')
        self.assertNotIn('no host keys', result.stdout)
        os.rmdir(key)
        self.clear()
        self.assertIn('ssh-tpm keygen -A', self.renew('--yes', status=0).stdout)
        self.lab.keygen('-q', '-A', '-f', self.root)
        self.assert_work(*KINDS)

    def test_a_tpm_that_is_away_is_an_error(self):
        self.clear()
        self.assert_refused('hint: ', env=self.lab.no_tpm)
        self.tpm.kill()
        self.assert_refused('hint: ')

    def test_a_key_of_a_type_that_the_new_tpm_lacks_does_not_keep_the_other_from_being_renewed(self):
        before = contents(self.folder)
        self.clear()
        probe = Probe(self.tpm, next_tcti=self.tpm.tcti)
        probe.fail('TPM2_Create answer 0x18a after=1')  # TPM_RC_TYPE, for the second key
        result = self.renew('--yes', '--tcti', probe.tcti)
        self.assert_error(result, f'{base_of(self.root, "rsa")}.tpm is not renewed: ', tool='ssh-tpm-hostkeys')
        after = contents(self.folder)
        self.assertEqual({path for path in before if after.get(path) != before[path]},
                         {path for path in before if 'ecdsa' in path or path == self.known})
        self.assertEqual(result.stdout.count('ssh-keygen -r'), 1)
        probe.heal()
        self.renew('--yes', '--tcti', probe.tcti, status=0)
        self.assert_kept(before)

    @needs_root
    def test_who_is_not_root_is_told(self):
        for place, _, _ in os.walk(self.root):
            os.chmod(place, 0o755)
        before = contents(self.folder)
        result = self.lab.run(os.path.join(self.lab.program_for_others(), 'ssh-tpm'), 'hostkeys', '--renew', '--yes',
                              env={'DESTDIR': self.root, **NO_LEAK_CHECK}, **AS_NOBODY)
        self.assert_error(result, 'Permission denied', 'run it as root', tool='ssh-tpm-hostkeys')
        self.assertEqual(contents(self.folder), before)

    def test_a_known_tpm_that_cannot_be_read_is_an_error(self):
        self.clear()
        self.lab.write(self.known, 'what?\n')
        self.assert_refused('cannot be understood', self.known)

    def test_the_keys_of_another_hierarchy_than_that_of_sshds_agent_are_refused(self):
        self.drop(*KINDS)
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--hierarchy', 'e', '-f', self.root)
        install = f'{self.lab.bin}/ssh-tpm-hostkeys', '--install-sshd-config'
        env = {'DESTDIR': self.root}
        self.lab.run(*install, '--hierarchy', 'e', env=env, status=0)
        self.assert_refused('--hierarchy owner: sshd asks the agent for the keys of the endorsement hierarchy',
                            f'hint: DESTDIR={self.root} ssh-tpm hostkeys --renew renews those',
                            f'{self.root} ssh-tpm hostkeys --install-sshd-config --hierarchy owner',
                            options=('--yes', '--hierarchy', 'owner'))
        self.assert_nothing_to_do()  # by the first hint
        for command in (install[0], '--uninstall'), install:
            self.lab.run(*command, env=env, status=0)
        change = '--yes', '--hierarchy', 'owner'
        self.assert_refused('asks the agent for the keys in files', 'hint: if the key files were lost, move the .pub',
                            '/etc/ssh/ssh_tpm_host_* away', options=change)
        self.drop(*KINDS)  # by the second one
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--hierarchy', 'owner', '-f', self.root)
        self.lab.run(*install, '--hierarchy', 'owner', env=env, status=0)
        self.assertIn(NOTHING, self.renew(*change, status=0).stdout)
        drop_in = self.root + '/etc/ssh/sshd_config.d/70-ssh-tpm.conf'
        self.lab.write(drop_in, read(drop_in) + '# mine\n')
        result = self.renew('--yes', '--hierarchy', 'e', status=0)
        self.assertIn('may be of another one than endorsement, the TPM was replaced or has a new seed', result.stderr)

    def test_a_hierarchy_without_effect_is_refused(self):
        self.assert_refused('--hierarchy owner: the host keys are in files', 'ssh-tpm hostkeys --renew renews those',
                            options=('--hierarchy', 'owner'), status=2)

    def test_keys_that_it_cannot_renew_are_named_and_left_alone(self):
        for kind in KINDS:
            os.unlink(base_of(self.root, kind) + '.tpm')
        self.assert_refused('key of a hierarchy', 'ssh-tpm hostkeys --renew --hierarchy H', 'ssh-tpm-genkeys.service')
        self.drop(*KINDS)
        key = base_of(self.root, 'ecdsa') + '.tpm'
        self.lab.keygen('-q', '-N', '1234', '-f', key)
        self.assert_refused('has a PIN', f"ssh-tpm keygen -p -N '' -f {key} removes it")
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.lab.keygen('-p', '-P', '1234', '-N', '', '-f', key)
        self.assert_nothing_to_do()
        self.assert_work('ecdsa')
        os.rename(key, key + '.away')
        os.mkdir(key)
        self.assert_refused('ssh_tpm_host_ecdsa_key.tpm: is a directory')

    def test_a_dead_key_with_a_pin_is_renewed_without_it(self):
        self.drop(*KINDS)
        self.lab.keygen('-q', '-N', '1234', '-f', base_of(self.root, 'ecdsa'))
        self.clear()
        self.assertIn(DEAD, self.renew('--yes', status=0).stdout)
        self.assert_work('ecdsa')

    def test_a_public_file_that_is_missing_is_written_and_a_wrong_one_named(self):
        base = base_of(self.root, 'ecdsa')
        line = read(base + '.pub')
        for spoil in (os.unlink, lambda path: os.truncate(path, 0)):  # as a full disk leaves it
            spoil(base + '.pub')
            self.assertIn(f'wrote {base}.pub\n', self.renew(status=0).stdout)
            self.assertEqual(read(base + '.pub'), line)
        for spoil in (lambda path: shutil.copy(base_of(self.root, 'rsa') + '.pub', path),
                      lambda path: self.lab.write(path, 'broken')):
            spoil(base + '.pub')
            self.assert_refused(base + '.pub: ', 'hint: remove it, or move it away')
            os.unlink(base + '.pub')
            self.assertIn(f'wrote {base}.pub\n', self.renew(status=0).stdout)
            self.assertEqual(read(base + '.pub'), line)

    def test_the_agent_tells_of_the_command_and_needs_no_restart_to_know_the_new_storage_key(self):
        self.drop('rsa')
        self.clear()
        agent = Agent(self.lab, '--no-seal', key_dir=self.folder, env={'SSH_TPM_KNOWN_TPMS': self.known})
        self.assertNotEqual(agent.ssh_keygen_sign(read_public(self.root, 'ecdsa')).returncode, 0)
        agent.process.wait_line('ssh-tpm hostkeys --renew')
        self.assertIn(OTHER, agent.log())
        self.renew('--yes', status=0)
        key = read_public(self.root, 'ecdsa')
        agent.wait_until_listed([key.line])
        agent.sign_and_check(key)
        agent.stop()


class KilledRenewal(RenewalStock):
    def test_the_next_run_completes_what_a_killed_one_left_and_nothing_is_lost(self):
        self.drop('rsa')  # whose keys take long
        before = contents(self.folder)
        self.clear()
        self.try_points(before, links=3)

    def test_the_same_with_the_key_of_a_hierarchy(self):
        self.drop(*KINDS)
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--hierarchy', 'owner', '-f', self.root)
        self.lab.write(base_of(self.root, 'ecdsa') + '-cert.pub', 'a certificate')
        before = contents(self.folder)
        self.clear()
        self.try_points(before, '--hierarchy', 'owner', links=2)

    def try_points(self, before, *options, links):
        """Kills the renewal at each call, and does it again."""
        counts = self.traced(*options)
        self.assertGreaterEqual(counts['link'], links)
        suffix = '.pub' if options else '.tpm'
        points = [(name, number) for name in CALLS for number in range(1, counts[name] + 1)]
        for point in points:
            with self.subTest(point=point):
                shutil.rmtree(self.folder)
                os.mkdir(self.folder)
                for path, content in before.items():
                    self.lab.write(path, content, mode=0o600 if path.endswith('.tpm') else 0o644)
                self.traced(*options, kill=point)
                for _, handle in self.tpm.handles():  # as the kernel's resource manager does
                    self.tpm.tool('tpm2_flushcontext', handle)
                self.assert_kept(before)
                self.assertTrue(os.path.exists(base_of(self.root, 'ecdsa') + suffix))
                public = contents(self.folder).get(base_of(self.root, 'ecdsa') + '.pub')
                printed = self.renew('--yes', *options, status=0).stdout
                self.assertEqual('To publish:' in printed,
                                 public != contents(self.folder)[base_of(self.root, 'ecdsa') + '.pub'])
                self.assert_kept(before)
                self.assertEqual(len({os.stat(os.path.join(self.folder, name)).st_ino  # once, even at midnight
                                      for name in os.listdir(self.folder) if f'key{suffix}.old-' in name}), 1)
                if options:
                    agent = HierarchyAgent(self.lab, 'owner')
                    agent.sign_and_check(read_public(self.root, 'ecdsa'))
                    agent.stop()
                else:
                    self.assert_work('ecdsa')
                self.assertIn(NOTHING, self.renew(*options, status=0).stdout)
        self.tpm.assert_no_handles()

    def traced(self, *options, kill=None):
        """Runs the renewal, which is killed at the n-th call of a name if `kill` says so; how often it calls each."""
        record = self.lab.path('calls')
        rule = ('-e', 'inject={}:signal=SIGKILL:when={}'.format(*kill)) if kill else ()
        result = self.lab.run('strace', '-f', '-qq', '-o', record, '-e', 'trace=' + ','.join(CALLS), *rule,
                              f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew', '--yes', *options,
                              env={'DESTDIR': self.root, **NO_LEAK_CHECK})
        self.assertEqual(result.returncode, -9 if kill else 0, result.stderr)
        return collections.Counter(line.split('(')[0].split()[-1] for line in read(record).splitlines() if '(' in line)


if __name__ == '__main__':
    unittest.main()
