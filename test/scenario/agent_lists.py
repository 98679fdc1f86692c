#!/usr/bin/env python3
"""The agent lists the keys of its folder, and its socket comes and goes as it should."""

import os
import shutil
import signal
import socket
import stat
import unittest

from agent import Agent, certify
from lab import Scenario, read
from swtpm import Swtpm


class AgentLists(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def refuse_to_start(self, path, status=1):
        """Runs an agent that must not start on this socket path; what it said."""
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--key-dir', self.lab.keys)
        self.assert_error(result, path, status=status, tool='ssh-tpm-agent')
        return result.stderr

    def test_ssh_add_lists_every_key_with_its_comment_in_the_order_of_file_names(self):
        keys = [self.lab.make_key(name, kind, bits, comment=comment) for name, kind, bits, comment in (
            ('c', 'ecdsa', 256, 'made first'), ('a', 'rsa', 2048, 'key of a'), ('b', 'ecdsa', 384, ''))]
        agent = Agent(self.lab)
        # A key without a comment goes by the path of its file, as with ssh-add.
        nameless = f'{keys[2].line.strip()} {keys[2].tpm}'
        self.assertEqual(agent.listed(), [keys[1].line, nameless, keys[0].line])
        short = agent.ssh_add('-l', status=0).stdout.splitlines()
        for line, key in zip(short, (keys[1], keys[2], keys[0]), strict=True):
            self.assertEqual(line.split()[1], self.lab.fingerprint(key))
        self.assertIn('key of a (RSA)', short[0])

    def test_an_empty_folder_and_a_missing_one_give_an_empty_list(self):
        for name, folder in (('empty', self.lab.keys), ('missing', self.lab.path('missing'))):
            agent = Agent(self.lab, name=name, key_dir=folder)
            result = agent.ssh_add('-l')
            self.assertEqual((result.returncode, result.stdout), (1, 'The agent has no identities.\n'))
            agent.stop()

    def test_no_load_leaves_the_folder_alone(self):
        self.lab.make_key('x')
        agent = Agent(self.lab, '--no-load')
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')

    def test_the_folder_is_the_one_in_the_home_unless_told_otherwise(self):
        key = self.lab.make_key('id_ecdsa', folder=self.lab.make_folder('home/.ssh'))
        path = self.lab.path('default.sock')
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path)
        process.wait_line(f'listening on {path}')
        result = self.lab.run('ssh-add', '-L', env={'SSH_AUTH_SOCK': path}, status=0)
        self.assertEqual(result.stdout.splitlines(), [key.line])

    def test_only_files_that_end_in_tpm_are_keys(self):
        key = self.lab.make_key('x')
        shutil.copy(key.tpm, self.lab.path('keys/y.tpm.bak'))
        shutil.copy(key.tpm, self.lab.path('keys/z'))
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])

    def test_the_same_key_in_two_files_is_listed_once(self):
        key = self.lab.make_key('x')
        shutil.copy(key.tpm, self.lab.path('keys/y.tpm'))
        self.assertEqual(len(Agent(self.lab).listed()), 1)

    def test_a_certificate_beside_its_key_is_listed_after_the_key(self):
        keys = [self.lab.make_key('a'), self.lab.make_key('b', 'rsa', 2048)]
        certificates = [certify(self.lab, key, '-n', 'root')[1] for key in keys]
        agent = Agent(self.lab)
        with agent.connect() as connection:
            self.assertEqual([blob for blob, _ in connection.list()],
                             [keys[0].blob, certificates[0].blob, keys[1].blob, certificates[1].blob])
        self.assertIn('(ECDSA-CERT)', agent.ssh_add('-l', status=0).stdout)
        self.assertIn('(RSA-CERT)', agent.ssh_add('-l', status=0).stdout)

    def test_a_certificate_of_another_key_is_not_listed(self):
        one, other = self.lab.make_key('a'), self.lab.make_key('b')
        certify(self.lab, other, '-n', 'root')
        os.rename(other.path + '-cert.pub', one.path + '-cert.pub')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [one.line, other.line])
        self.assertIn(one.path + '-cert.pub', agent.log())

    def test_listing_does_not_need_the_tpm(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        self.tpm.process.end()
        self.assertEqual(agent.listed(), [key.line])

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

    def test_both_socket_options_name_the_socket(self):
        for option in ('-l', '-a'):
            path = self.lab.path(option + '.sock')
            process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', option, path, '--no-load')
            process.wait_line(f'listening on {path}')
            self.assertEqual(self.lab.run('ssh-add', '-l', env={'SSH_AUTH_SOCK': path}).returncode, 1)

    def test_only_the_owner_may_use_the_socket(self):
        agent = Agent(self.lab, umask=0)
        mode = os.stat(agent.socket).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_a_second_agent_on_the_same_socket_is_refused_and_the_first_lives_on(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        self.refuse_to_start(agent.socket)
        self.assertEqual(agent.listed(), [key.line])

    def test_a_socket_that_nobody_listens_on_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.lab.path('agent.sock'))
        agent = Agent(self.lab)
        self.assertEqual(agent.ssh_add('-l').returncode, 1)
        agent.stop()

    def test_the_socket_of_a_killed_agent_is_replaced(self):
        first = Agent(self.lab)
        first.process.popen.kill()
        first.process.wait()
        self.assertTrue(os.path.exists(first.socket))
        self.assertEqual(Agent(self.lab).ssh_add('-l').returncode, 1)

    def test_what_is_no_socket_is_never_unlinked(self):
        regular = self.lab.write('regular', 'precious')
        self.refuse_to_start(regular)
        self.assertEqual(read(regular), 'precious')
        folder = self.lab.make_folder('folder')
        self.refuse_to_start(folder)
        self.assertTrue(os.path.isdir(folder))
        link = self.lab.path('link')
        os.symlink(regular, link)
        self.refuse_to_start(link)
        self.assertEqual(os.readlink(link), regular)

    def test_a_socket_path_that_cannot_be_is_an_error(self):
        self.refuse_to_start(self.lab.path('x' * 120), status=2)
        self.refuse_to_start(os.path.join(self.lab.write('regular', ''), 'agent.sock'))

    def test_a_missing_folder_of_the_socket_is_made_for_the_owner_alone(self):
        path = self.lab.path('made', 'agent.sock')
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--no-load', umask=0)
        process.wait_line(f'listening on {path}')
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)

    def test_sigterm_and_sigint_end_it_cleanly(self):
        key = self.lab.make_key('x')
        for how in (signal.SIGTERM, signal.SIGINT):
            for use in (False, True):
                agent = Agent(self.lab)
                if use:
                    agent.sign_and_check(key)
                with agent.connect() as idle:  # a client that stays does not keep the agent
                    idle.list()
                    agent.stop(how)
                    self.assertIsNone(idle.read_frame())
                self.tpm.assert_no_handles()

    def test_sigpipe_and_vanishing_clients_do_not_end_it(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        for _ in range(20):
            connection = agent.connect()
            connection.send(bytes.fromhex('000000010b') * 50)
            connection.socket.close()
        agent.process.popen.send_signal(signal.SIGPIPE)
        self.assertEqual(agent.listed(), [key.line])


if __name__ == '__main__':
    unittest.main()
