#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent around one command, in the background, and ended again: as users of ssh-agent know it."""

import os
import re
import resource
import signal
import unittest

from agent import REFERENCE, Askpass, ours
from lab import children, read, wait_until
from protocol import Connection, frame, sign_request
from stock import WithTpm
from terminal import has_ended

PASSWORD = 'owner password 5'


# Commands that show what they got from the program that started them: what is open, limits, variables; signals, which a
# shell would change.
SHOWING = (('sh', '-c', 'ls /proc/$$/fd; ulimit -c; umask; echo "$TSS2_LOG ${TSS2_LOGFILE-none} $1"', 'sh', '$(id) *'),
           ('grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'))
# ninja, by glibc's posix_spawn, may leave the signals of the C library itself ignored: 32 and 33.
UNUSUAL = r'0027\nall\+error none \$\(id\) \*\nSigBlk:\t0000000000000800\nSigIgn:\t0000000[01][08]0010001\n\Z'


def surround():
    """In a child: sets limits, umask and signals to unusual values."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    os.umask(0o027)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})


class SubprocessMode(WithTpm):
    def setUp(self):
        super().setUp()
        self.socket = self.lab.path('agent.sock')
        self.program = 'ssh-agent' if REFERENCE else f'{self.lab.bin}/ssh-tpm-agent'
        self.folder = () if REFERENCE else ('--key-dir', self.lab.keys)

    def around(self, *command, **more):
        """Runs a command under an agent of its own."""
        return self.lab.run(self.program, '-a', self.socket, *self.folder, *command, **more)

    def background(self, *options, **more):
        """What an agent in the background prints, and its id."""
        printed = self.around(*options, status=0, **more).stdout
        return printed, int(re.search(r'Agent pid (\d+)', printed)[1])

    def socket_goes(self):
        """Waits until the agent has removed its socket. OpenSSH's takes up to ten seconds for that, LeakSanitizer a
        while."""
        wait_until(lambda: not os.path.lexists(self.socket), 'the end of the socket')

    def test_the_command_finds_the_agent(self):
        key = None if REFERENCE else self.lab.make_key('x')
        result = self.around('sh', '-c', 'echo "$SSH_AUTH_SOCK"; ps -o comm= -p "$SSH_AGENT_PID"; ssh-add -L')
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], self.socket)
        self.assertRegex(lines[1], 'ssh-agent' if REFERENCE else 'ssh-tpm')
        self.assertEqual(lines[2], 'The agent has no identities.' if REFERENCE else key.line)

    def test_the_commands_options_input_output_and_exit_status_are_its_own(self):
        for command, stdin, output, status in ((('echo', '-n', '-k', '--', '-s'), None, '-k -- -s', 0),
                                               (('cat',), 'a line\n', 'a line\n', 0),
                                               *((('sh', '-c', f'exit {end}'), None, '', end) for end in (1, 7, 255))):
            with self.subTest(command=command):
                result = self.around(*command, stdin=stdin)
                self.assertEqual((result.stdout, result.returncode), (output, status))
                self.socket_goes()
        status = self.around('sh', '-c', 'kill -TERM $$').returncode
        self.assertIn(status, (-signal.SIGTERM, 128 + signal.SIGTERM))

    @ours
    def test_the_command_finds_all_else_as_it_would_without_the_agent(self):
        alone, around = (''.join(run(*argv, env={'TSS2_LOG': 'all+error'}, preexec_fn=surround, status=0).stdout
                                 for argv in SHOWING) for run in (self.lab.run, self.around))
        self.assertEqual(around, alone)
        self.assertRegex(alone, UNUSUAL)

    def test_a_command_that_cannot_be_run_is_a_failure(self):
        for path, words in ((self.lab.path('absent'), 'o such file'), (self.lab.folder, 'ermission denied')):
            result = self.around(path)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(words, result.stderr)
            self.socket_goes()

    def test_the_agent_ends_with_the_command_whatever_that_left_running(self):
        result = self.around('sh', '-c', 'sleep 600 >/dev/null 2>&1 & echo "$SSH_AGENT_PID"', status=0)
        pid = int(result.stdout)
        self.socket_goes()
        wait_until(lambda: has_ended(pid), 'the end of the agent')

    def test_without_a_socket_option_it_has_one_that_is_the_users_alone(self):
        result = self.lab.run(self.program, *self.folder, 'sh', '-c',
                              'echo "$SSH_AUTH_SOCK"; stat -c %a "$SSH_AUTH_SOCK"; ssh-add -l', status=1)
        socket, mode, answer = result.stdout.splitlines()
        self.assertEqual((mode, answer), ('600', 'The agent has no identities.'))
        wait_until(lambda: not os.path.lexists(socket), 'the end of the socket')

    def test_in_the_background_it_is_found_by_what_it_prints_and_k_ends_it(self):
        printed, pid = self.background('-s')
        self.assertEqual(printed, f'SSH_AUTH_SOCK={self.socket}; export SSH_AUTH_SOCK;\n'
                                  f'SSH_AGENT_PID={pid}; export SSH_AGENT_PID;\necho Agent pid {pid};\n')
        self.assertFalse(has_ended(pid))
        with Connection(self.socket) as connection:  # it listens before the shell goes on
            self.assertEqual(connection.list(), [])
        self.assertNotEqual(os.getsid(pid), os.getsid(0))  # a terminal that goes takes it not along
        ended = self.lab.run(self.program, '-k', status=0, env={'SSH_AGENT_PID': str(pid)})
        self.assertEqual(ended.stdout, f'unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\necho Agent pid {pid} killed;\n')
        wait_until(lambda: has_ended(pid), 'the end of the agent')
        self.assertFalse(os.path.lexists(self.socket))

    def test_a_c_shell_gets_its_own_commands(self):
        """ssh-agent(1) has -s and -c for the kind of commands that -k prints, too."""
        for end, shell, unset in ((('-k', '-c'), None, 'unsetenv'), (('-k',), '/bin/tcsh', 'unsetenv'),
                                  (('-s', '-k'), '/bin/tcsh', 'unset'), (('-k', '-s'), '/bin/tcsh', 'unset')):
            with self.subTest(end=end):
                printed, pid = self.background('-c')
                self.assertEqual(printed, f'setenv SSH_AUTH_SOCK {self.socket};\nsetenv SSH_AGENT_PID {pid};\n'
                                          f'echo Agent pid {pid};\n')
                ended = self.lab.run(self.program, *end, env={'SSH_AGENT_PID': str(pid), 'SHELL': shell}, status=0)
                self.assertEqual(ended.stdout, f'{unset} SSH_AUTH_SOCK;\n{unset} SSH_AGENT_PID;\n'
                                               f'echo Agent pid {pid} killed;\n')
                self.socket_goes()

    @ours
    def test_a_socket_with_characters_of_the_shell_is_quoted(self):
        self.socket = self.lab.path("it's a! $x")
        quoted = self.socket.replace("'", "'\\''")
        for option, told in (('-c', quoted.replace('!', '\\!')), ('-s', quoted)):
            printed, pid = self.background(option)
            self.assertIn(f"'{told}'", printed)
            self.lab.run(self.program, '-k', env={'SSH_AGENT_PID': str(pid)}, status=0)
            self.socket_goes()

    def test_every_option_of_ssh_agent_is_known_or_refused_in_words(self):
        """option_modes.py has those that are refused whatever their value is."""
        self.around('-E', 'sha256', '-t', '1h', *(() if REFERENCE else ('-U',)), 'true', status=0)
        self.socket_goes()
        if REFERENCE:
            return
        self.assert_error(self.around('-E', 'md5', 'true'), 'SHA256', 'hint:', tool='ssh-tpm-agent')
        self.assert_error(self.around('-c', '-s'), '-c and -s', status=2, tool='ssh-tpm-agent')

    def test_a_shell_evaluates_it(self):
        options = ' '.join(('-s', '-a', self.socket, *self.folder))
        result = self.lab.run('sh', '-e', '-c', f'eval "$({self.program} {options})"; ssh-add -l || echo $?\n'
                              f'eval "$({self.program} -k)"; echo "${{SSH_AUTH_SOCK-none}}"', status=0)
        lines = result.stdout.splitlines()
        self.assertRegex(lines[0], r'^Agent pid \d+$')
        self.assertEqual(lines[1:3], ['The agent has no identities.', '1'])
        self.assertRegex(lines[3], r'^Agent pid \d+ killed$')
        self.assertEqual(lines[4], 'none')

    def test_k_without_an_agent_is_a_failure(self):
        for pid in (None, '', 'x', '0', '-1', '1x', '99999999999'):
            with self.subTest(pid=pid):
                result = self.lab.run(self.program, '-k', env={'SSH_AGENT_PID': pid}, status=1)
                self.assertEqual(result.stdout, '')
                self.assertIn('SSH_AGENT_PID', result.stderr)

    @ours
    def test_options_that_ask_for_different_things_are_refused(self):
        root = self.lab.make_folder('root')
        for options in (('--print-socket', '-s'), ('-s', '--print-socket'), ('-k', '--print-socket'),
                        ('--print-socket', '--install-user-units'), ('--install-system', '-k'),
                        ('-s', '--install-system'), ('--force',), ('--force', '-s'), ('--force', '--print-socket'),
                        ('-k', 'true'), ('--print-socket', 'true'), ('--install-system', 'true')):
            with self.subTest(options=options):
                result = self.lab.run(self.program, '-a', self.socket, *self.folder, *options,
                                      env={'DESTDIR': root, 'SSH_AGENT_PID': None})
                self.assert_error(result, status=2, tool='ssh-tpm-agent')
                self.assertEqual((result.stdout, os.listdir(root)), ('', []))
                self.assertFalse(os.path.lexists(self.socket))

    def test_a_second_agent_on_the_same_socket_is_refused(self):
        self.background('-s')
        for options in (*([('-s',)] if REFERENCE else []), ('-D',), ('echo', 'never')):  # ours: running_agent.py
            with self.subTest(options=options):
                result = self.around(*options)
                self.assertEqual((result.returncode, result.stdout), (1, ''))
                self.assertIn(self.socket, result.stderr)
        with Connection(self.socket) as connection:
            self.assertEqual(connection.list(), [])

    @ours
    def test_an_agent_that_nobody_was_told_of_ends(self):
        reading, unread = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, unread)
        before = children()
        for option in ('-s', '-c', '-D', '-d'):
            for where in ('/dev/full', '&-', f'&{unread}'):
                with self.subTest(option=option, where=where):
                    result = self.lab.run('bash', '-c', f'"$@" >{where}', 'bash', self.program, option, '-a',
                                          self.socket, *self.folder, pass_fds=[unread])
                    self.assert_error(result, 'could not be written', tool='ssh-tpm-agent')
                    self.assertFalse(os.path.lexists(self.socket))
                    self.assertEqual(children(), before)

    @ours
    def test_what_cannot_be_printed_is_a_failure_of_every_applet(self):
        self.lab.make_key('id_ecdsa')
        self.background('-s')
        public = self.lab.path('keys', 'id_ecdsa.pub')
        for words in (('--version',), ('help',), ('agent', '--help'), ('agent', '--print-socket'),
                      ('keygen', '-l', '-f', public), ('keygen', '-y', '-f', self.lab.path('keys', 'id_ecdsa')),
                      ('add', '-l'), ('add', '-L'), ('hostkeys', '--socket', self.socket)):
            for where in ('/dev/full', '&-'):
                with self.subTest(words=words, where=where):
                    result = self.lab.run('sh', '-c', f'"$@" >{where}', 'sh', f'{self.lab.bin}/ssh-tpm', *words,
                                          env={'SSH_AUTH_SOCK': self.socket}, status=1)
                    self.assertIn('could not be written', result.stderr)

    @ours
    def test_the_owner_password_is_the_agents_alone(self):
        self.tpm.craft('tpm2_changeauth', '-c', 'o', PASSWORD)
        given = {'SSH_TPM_AGENT_OWNER_PASSWORD': PASSWORD}
        key = self.lab.make_key('x', env=given)
        told = self.around('sh', '-c', 'env; ssh-keygen -Y sign -q -f "$0" -n file >/dev/null && echo signed',
                           key.pub, stdin='a message', env=given, status=0).stdout
        self.assertIn('\nsigned\n', told)
        self.assertIn('\nSSH_AUTH_SOCK=', told)
        self.assertNotIn('OWNER_PASSWORD', told)
        self.socket_goes()
        _, pid = self.background('-s', env=given)
        if os.geteuid() == 0:  # for others the kernel hides it
            self.assertNotIn(PASSWORD, read(f'/proc/{pid}/environ'))

    @ours
    def test_sigterm_ends_it_in_the_background_too(self):
        _, pid = self.background('-s')
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)  # the lab inherited it
        self.assertFalse(os.path.lexists(self.socket))

    @ours
    def test_sigterm_and_the_end_of_the_command_at_once_end_it_cleanly(self):
        """Both come while it reads a large folder, and a person is being asked."""
        key = self.lab.make_key('x', pin='a pin')
        for number in range(1000):
            os.link(key.tpm, self.lab.path(f'keys/{number}.tpm'))
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        before = children()
        command = self.lab.start(self.program, '-d', '-a', self.socket, *self.folder, 'sh', '-c',
                                 'echo "agent $SSH_AGENT_PID"; exec sleep 600', env=askpass.env)
        pid = int(command.wait_line('agent ').split()[1])
        with Connection(self.socket) as asking:
            asking.send(frame(sign_request(key.blob, b'data')))
            wait_until(askpass.questions, 'the question')
            os.kill(pid, signal.SIGHUP)
            command.wait_line('SIGHUP: reading')
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: re.search(r'ShdPnd:\t0+\n', read(f'/proc/{pid}/status')), 'its handler', pace=0.001)
            command.popen.kill()
            command.popen.wait()
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)  # the lab inherited it
        self.assertFalse(os.path.lexists(self.socket))
        self.assertEqual(children(), before)  # askpass has gone


if __name__ == '__main__':
    unittest.main()
