#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent lists the keys of its folder and passes over what is none, its socket comes and goes as it should, and it
outlives a TPM that dies, hangs or changes."""

import fcntl
import os
import shutil
import signal
import socket
import stat
import unittest

import keyfile
from agent import Agent, Askpass
from keys_once import KeysOnce
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, mode, needs_root, read, wait_until
from protocol import frame, sign_request
from resources import descriptors
from softkey import DATA
from swtpm import Swtpm

PIN = 'correct horse 42'
CONTROL = '[\x00-\x08\x0b-\x1f\x7f-\x9f]'


class WithKeys(KeysOnce):
    KEYS = {'a': {'kind': 'rsa', 'bits': 2048, 'comment': 'key of a'}, 'b': {'bits': 384, 'comment': ''},
            'c': {'comment': 'made first'}, 'good': {}, 'guarded': {'pin': PIN}}
    CERTIFIED = ('a', 'c')


class Lists(WithKeys):
    def test_ssh_add_lists_every_key_in_the_order_of_file_names_and_certificates_after_all_keys(self):
        keys = [self.take(name) for name in 'cab']
        agent = Agent(self.lab)
        certificates = [f'{part} {comment}' for name, comment in (('a', 'key of a'), ('c', 'made first'))
                        for part in [read(self.lab.path(f'keys/{name}-cert.pub')).rsplit(' ', 2)[0]]]
        # A key without a comment goes by the path of its file, as with ssh-add.
        nameless = f'{keys[2].line.strip()} {keys[2].tpm}'
        listed = agent.listed()
        self.assertEqual([line.split()[1] for line in listed],
                         [line.split()[1] for line in (keys[1].line, nameless, keys[0].line, *certificates)])
        self.assertEqual(listed[:3], [keys[1].line, nameless, keys[0].line])
        short = agent.ssh_add('-l', status=0).stdout.splitlines()
        for number, key in enumerate((keys[1], keys[2], keys[0])):
            self.assertEqual(short[number].split()[1], self.lab.fingerprint(key))
        for number, words in ((0, 'key of a (RSA)'), (3, '(RSA-CERT)'), (4, '(ECDSA-CERT)')):
            self.assertIn(words, short[number])
        self.tpm.process.end()  # which is not needed for that
        self.assertEqual(agent.listed(), listed)

    def test_an_empty_folder_a_missing_one_and_one_that_is_not_loaded_give_an_empty_list(self):
        self.take('c')
        for name, options, folder in (('empty', (), self.lab.make_folder('empty')),
                                      ('missing', (), self.lab.path('missing')), ('no', ('--no-load',), None)):
            agent = Agent(self.lab, *options, name=name, key_dir=folder)
            result = agent.ssh_add('-l')
            self.assertEqual((result.returncode, result.stdout), (1, 'The agent has no identities.\n'))
            agent.stop()

    def test_the_folder_is_the_one_in_the_home_unless_told_otherwise(self):
        key = self.take('good', self.lab.make_folder('home/.ssh'))
        path = self.lab.path('default.sock')
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path)
        process.wait_line(f'listening on {path}')
        result = self.lab.run('ssh-add', '-L', env={'SSH_AUTH_SOCK': path}, status=0)
        self.assertEqual(result.stdout.splitlines(), [key.line])

    def test_only_files_that_end_in_tpm_are_keys_and_the_same_key_is_listed_once(self):
        key = self.take('good')
        for name in ('y.tpm.bak', 'z', 'zz.tpm'):
            shutil.copy(key.tpm, self.lab.path('keys', name))
        self.assertEqual(Agent(self.lab).listed(), [key.line])

    def test_a_certificate_of_another_key_is_not_listed(self):
        one, other = self.take('good'), self.take('c')
        os.rename(other.path + '-cert.pub', one.path + '-cert.pub')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [other.line, one.line])
        self.assertIn(one.path + '-cert.pub', agent.log())


class Socket(WithKeys):
    def refuse_to_start(self, path, status=1):
        """Runs an agent that must not start on this socket path; what it said."""
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--key-dir', self.lab.keys)
        self.assert_error(result, path, status=status, tool='ssh-tpm-agent')
        return result.stderr

    def test_print_socket_names_the_socket_and_starts_nothing(self):
        run, program = self.lab.env['XDG_RUNTIME_DIR'], f'{self.lab.bin}/ssh-tpm-agent'
        for options, env, expected in (
                ((), {}, run + '/ssh-tpm-agent.sock'),
                ((), {'SSH_TPM_AUTH_SOCK': '/from/environment'}, '/from/environment'),
                (('-l', '/from/option'), {'SSH_TPM_AUTH_SOCK': '/from/environment'}, '/from/option'),
                (('-a', '/from/option'), {}, '/from/option')):
            with self.subTest(options=options, env=env):
                result = self.lab.run(program, *options, '--print-socket', env=env, status=0)
                self.assertEqual(result.stdout, expected + '\n')
        self.assertEqual(os.listdir(run), [])

    def test_a_second_agent_is_refused_and_the_socket_of_a_killed_one_is_replaced(self):
        first = Agent(self.lab)
        self.refuse_to_start(first.socket)
        self.assertEqual(first.ssh_add('-l').returncode, 1)
        first.process.popen.kill()
        first.process.wait()
        self.assertTrue(os.path.exists(first.socket))
        self.assertEqual(Agent(self.lab).ssh_add('-l').returncode, 1)

    def test_what_is_no_socket_of_its_kind_is_never_unlinked(self):
        regular, folder = self.lab.write('regular', 'precious'), self.lab.make_folder('folder')
        other, link = self.lab.path('datagram.sock'), self.lab.path('link')
        os.symlink(regular, link)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(other)
            for path in (regular, folder, other, link):
                before = os.lstat(path)
                self.refuse_to_start(path)
                self.assertEqual(os.lstat(path)[:3], before[:3])  # mode, inode, device
        self.assertEqual(read(regular), 'precious')

    def test_a_socket_path_that_cannot_be_is_an_error(self):
        self.refuse_to_start(self.lab.path('x' * 120), status=2)
        self.refuse_to_start(os.path.join(self.lab.write('regular', ''), 'agent.sock'))

    def test_the_socket_and_its_folder_if_that_is_missing_are_made_for_the_owner_alone(self):
        path = self.lab.path('made', 'agent.sock')
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--no-load', umask=0)
        process.wait_line(f'listening on {path}')
        self.assertEqual(mode(os.path.dirname(path)), 0o700)
        self.assertEqual((mode(path), stat.S_ISSOCK(os.stat(path).st_mode)), (0o600, True))

    def test_sigterm_and_sigint_end_it_cleanly(self):
        key = self.take('good')
        for how, use in ((signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)):
            agent = Agent(self.lab)
            with agent.connect() as idle:  # a client that stays does not keep the agent
                self.assertEqual(idle.list()[0][0], key.blob)
                if use:
                    self.assertIsNotNone(idle.sign(key.blob, b'data'))
                agent.stop(how)
                self.assertIsNone(idle.read_frame())
            self.tpm.assert_no_handles()

    def test_clients_that_have_just_connected_do_not_hold_up_its_end(self):
        key = self.take('good')
        for count in (1, 2, 5):
            agent = Agent(self.lab)
            self.assertTrue(agent.signs(key))  # which leaves something in the TPM
            with agent.stopped():
                clients = self.connect(agent, count)
                agent.process.popen.send_signal(signal.SIGTERM)
            self.assertEqual(agent.process.wait(), 0)
            self.assertNotIn('the TPM does not answer', agent.log())
            self.tpm.assert_no_handles()
            for client in clients:
                self.assertIsNone(client.read_frame())

    def test_sigpipe_and_vanishing_clients_do_not_end_it(self):
        key = self.take('good')
        agent = Agent(self.lab)
        for _ in range(20):
            connection = agent.connect()
            connection.send(bytes.fromhex('000000010b') * 50)
            connection.socket.close()
        agent.process.popen.send_signal(signal.SIGPIPE)
        self.assertEqual(agent.listed(), [key.line])

    def test_who_locks_the_folder_of_the_socket_does_not_hold_an_agent_up_for_ever(self):
        self.lab.limit('socket_folder', 0.3, 3)
        folder = self.lab.make_folder('shared')
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_SH)
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-a', f'{folder}/agent.sock', '--no-load', deadline=30)
        self.assert_error(result, f'{folder}: another process has locked', 'hint:', tool='ssh-tpm-agent')
        self.assertEqual(os.listdir(folder), [])

    def test_of_agents_that_start_at_once_on_a_stale_socket_one_lives(self):
        path = self.lab.path('stale.sock')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        agents = [self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--no-load') for _ in range(6)]
        wait_until(lambda: sum(agent.popen.poll() is None for agent in agents) == 1, 'one agent left')
        survivor, = (agent for agent in agents if agent.popen.poll() is None)
        survivor.wait_line(f'listening on {path}')
        listed = self.lab.run('ssh-add', '-l', env={'SSH_AUTH_SOCK': path})
        self.assertIn('no identities', listed.stdout + listed.stderr)


class BadDays(WithKeys):
    """Of the TPM, and with clients that do not wait."""

    def start(self, *names, pin=PIN):
        self.keys = [self.take(name) for name in names]
        self.askpass = Askpass(self.lab, pin)
        self.agent = Agent(self.lab, env=self.askpass.env)

    def test_a_tpm_that_dies_within_a_command_serves_the_request_after_its_return(self):
        self.start('good')
        agent, (key,) = self.agent, self.keys
        agent.sign_and_check(key)
        for _ in range(2):
            os.kill(self.tpm.process.popen.pid, signal.SIGSTOP)
            with agent.connect() as client:
                client.send(frame(sign_request(key.blob, b'lost')))
                self.tpm.kill()
                self.assertEqual(client.read_frame(), b'\x05')
            self.tpm.start()
            agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_pin_is_not_asked_for_again_after_the_tpm_came_back(self):
        self.start('guarded')
        agent, (key,) = self.agent, self.keys
        agent.sign_and_check(key)
        self.tpm.kill()
        agent.ssh_keygen_sign(key)  # may fail: there is no TPM
        self.tpm.start()
        agent.sign_and_check(key)
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_the_persistent_storage_key_may_go_while_the_agent_runs(self):
        self.tpm.make_persistent()
        self.start('c', 'good')
        agent, keys = self.agent, self.keys
        agent.sign_and_check(keys[0])
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        agent.ssh_keygen_sign(keys[1])  # may fail: it finds the parent gone
        agent.sign_and_check(keys[1])

    def test_lists_are_answered_while_the_tpm_hangs_and_the_agent_ends_all_the_same(self):
        self.lab.limit('end', 0.3, 2)
        self.start('good')
        agent, (key,) = self.agent, self.keys
        agent.sign_and_check(key)
        with self.tpm.stopped(), agent.connect() as hanging, agent.connect() as other:
            hanging.send(frame(sign_request(key.blob, b'data')))
            self.assertEqual(len(other.list()), 1)
            agent.stop()

    def test_clients_that_hang_up_at_once_leave_nothing_behind(self):
        self.start('guarded')
        agent, (key,) = self.agent, self.keys
        before = descriptors(agent.process.pid)
        for _ in range(50):
            with agent.connect() as client:
                client.send(frame(sign_request(key.blob, b'data')))
        wait_until(lambda: descriptors(agent.process.pid) <= before, 'the end of all connections')


class SkipsBrokenFiles(WithKeys):
    """A broken, hostile or unreadable file is reported once; the keys beside it serve."""

    def setUp(self):
        super().setUp()
        self.good = self.take('good')
        self.parts = keyfile.fields(self.good.tpm)
        self.text = read(self.good.tpm)
        self.bad = []

    def add(self, name, content):
        """Puts a bad file among the keys."""
        self.bad.append(self.lab.write(f'keys/{name}.tpm', content, mode=0o600))

    def check(self):
        """Starts the agent: each bad file is named once, the good key is listed alone and signs."""
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [self.good.line])
        for path in self.bad:
            reports = [line for line in agent.process.lines if path in line]
            self.assertEqual(len(reports), 1, f'{path}: {reports}')
        self.assertNotIn(self.good.tpm, agent.log())
        with agent.connect() as connection:
            self.assertIsNotNone(connection.sign(self.good.blob, b'data'))
        agent.stop()
        self.tpm.assert_no_handles()
        return agent

    def test_the_parts_put_together_again_are_the_key_that_all_these_tests_spoil(self):
        described = keyfile.with_field(self.parts, keyfile.DESCRIPTION, keyfile.tlv(keyfile.UTF8, b'good'))
        self.lab.write('keys/good.tpm', keyfile.build(described), mode=0o600)
        self.check()

    def test_files_that_are_no_keys_or_keys_of_no_use(self):
        """Each kind of them; test/keyfile has every one."""
        parts, der = self.parts, keyfile.read_der(self.good.tpm)
        contents = ['', self.text[:100], keyfile.pem(der[:100]), bytes(1000), 'Dear diary,\n', os.urandom(500),
                    read(self.good.pub), keyfile.build(parts[:-1]), keyfile.build(parts + parts[-1:]),
                    self.text + self.text,
                    keyfile.build([(keyfile.OID, bytes([0x67, 0x81, 0x05, 0x0a, 0x01, 5]))] + parts[1:])]  # sealed
        contents += [read(os.path.join(DATA, 'ecdsa-256.' + form)) for form in ('openssh', 'pem', 'pkcs8')]
        contents += [keyfile.build(keyfile.with_public(parts, change)) for change in (
            keyfile.without_signing, keyfile.with_unknown_curve, lambda public: b'',
            lambda public: public[:-1] + bytes([public[-1] ^ 1]))]  # a point that is not on the curve
        for number, content in enumerate(contents):
            self.add(f'bad{number:02}', content)
        self.check()

    def test_files_beyond_the_ceiling(self):
        self.add('large', self.text + '\n' * 65536)
        self.add('huge', self.text + '#' * (8 << 20))
        self.bad.append(self.lab.path('keys/sparse.tpm'))
        with open(self.bad[-1], 'wb') as file:
            file.truncate(1 << 40)
        self.check()

    def test_what_is_no_file(self):
        self.bad += [self.lab.path(f'keys/{name}.tpm') for name in ('fifo', 'loop', 'device', 'dangling')]
        os.mkfifo(self.bad[0])
        for target, link in zip(('loop.tpm', '/dev/zero', 'nowhere'), self.bad[1:]):
            os.symlink(target, link)
        self.check()

    def test_a_key_through_a_symlink_is_served(self):
        os.rename(self.good.tpm, self.lab.path('elsewhere'))
        os.symlink(self.lab.path('elsewhere'), self.good.tpm)
        self.check()

    def test_control_characters_in_the_description(self):
        texts = (b'\x1b[2Jgone', b'a\nb', b'nul\x00', b'\x7f', b'\xff\xfe', b'\xc2\x9b31m')
        for number, text in enumerate(texts):
            described = keyfile.tlv(keyfile.UTF8, text)
            self.add(f'control{number}', keyfile.build(keyfile.with_field(self.parts, keyfile.DESCRIPTION, described)))
        self.assertNotRegex(self.check().log(), CONTROL)

    def test_control_characters_in_the_name(self):
        os.rename(self.good.tpm, self.good.path + '\x1b[2J\n.tpm')
        self.lab.write('keys/bad\x1b]0;owned\x07.tpm', 'no key')
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 1)
        self.assertNotRegex(agent.log(), CONTROL)

    def test_a_broken_certificate_is_reported_and_its_key_is_served(self):
        for content in ('', 'garbage', 'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA x\n', read(self.good.pub)):
            with self.subTest(content=content):
                self.bad = [self.lab.write('keys/good-cert.pub', content)]
                self.check()

    def test_a_key_of_another_tpm_fails_alone(self):
        other = Swtpm(self.lab, name='other')
        foreign = self.lab.make_key('foreign', env={'SSH_TPM_TCTI': other.tcti})
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 2)
        for _ in range(2):
            self.assertNotEqual(agent.ssh_keygen_sign(foreign).returncode, 0)
            agent.sign_and_check(self.good)
        agent.process.wait_line('another TPM')
        agent.stop()
        self.tpm.assert_no_handles()

    @needs_root  # and yet it is about an agent that is not root, since nothing is unreadable to root
    def test_a_file_that_may_not_be_read(self):
        folder = self.lab.make_folder('theirs')
        good, secret = os.path.join(folder, 'good.tpm'), os.path.join(folder, 'secret.tpm')
        shutil.copy(self.good.tpm, good)
        self.lab.write('theirs/secret.tpm', self.text, mode=0o600)
        for path in (folder, good):
            os.chown(path, NOBODY, NOBODY)
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.chmod(path, 0o777)
        program, path = self.lab.program_for_others(), os.path.join(folder, 'agent.sock')
        process = self.lab.start(f'{program}/ssh-tpm-agent', '-l', path, '--key-dir', folder,
                                 env={'HOME': folder, 'XDG_STATE_HOME': folder, **NO_LEAK_CHECK}, **AS_NOBODY)
        process.wait_line(f'listening on {path}')
        self.assertEqual(len([line for line in process.lines if secret in line]), 1)
        listed = self.lab.run('ssh-add', '-L', env={'SSH_AUTH_SOCK': path}, status=0).stdout
        self.assertEqual(listed.splitlines(), [self.good.line])


if __name__ == '__main__':
    unittest.main()
