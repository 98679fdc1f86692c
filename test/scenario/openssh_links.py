#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links named ssh-agent, ssh-add and ssh-keygen: what is for the TPM is ours, the rest goes to the next program."""

import os
import shutil
import signal
import unittest

from agent import Agent
from lab import Scenario, read, wait_until
from openssh import generations
from sshd import Sshd
from stock import WithTpm

TOOLS = 'ssh-agent', 'ssh-add', 'ssh-keygen'

# Calls that are not for a TPM key.
OF_SSH_KEYGEN = (
    ('-t', 'ed25519', '-N', '', '-f', 'key'),
    ('-t', 'rsa', '-m', 'PEM', '-N', 'a passphrase', '-f', 'key'),
    ('-t', 'ecdsa-sk', '-O', 'resident'),
    ('-Y', 'sign', '-n', 'git', '-f', 'key.pub', 'file with space'),
    ('-Yverify', '-n', 'git', '-I', 'me', '-s', 'file.sig', '-f', 'allowed', '-O', 'print-pubkey'),
    ('-s', 'ca', '-I', 'me', '-n', 'me', '-V', '+1h', 'key.pub'),
    ('-h', '-s', 'ca', '-I', 'host', 'key.pub'),
    ('-V', '+1h', '-s', 'ca', '-I', 'me', 'key.pub'),
    ('-I', 'me', '-s', 'ca', 'key.pub'),
    ('-F', 'host'), ('-R', 'host', '-f', 'known_hosts'), ('-H',), ('-L', '-f', 'key-cert.pub'), ('-A',),
    ('-l', '-f', 'plain'), ('-lf', 'plain.pub'), ('-l', '-f', '-'), ('-y', '-f', 'plain'), ('-y', '-f', 'missing'),
    ('-p', '-f', 'plain', '-P', '', '-N', 'new'), ('-c', '-f', 'plain', '-C', 'comment'), ('-p',), ('-l',),
    ('-e', '-f', 'plain.pub'), ('-i', '-f', 'pem'), ('-k', '-f', 'krl', 'plain.pub'), ('-D', 'pkcs11.so'),
 ('-?',), ('--no-such-option',), ('operand',), ('-l', 'operand'),
)
OF_SSH_ADD = (('-s', 'pkcs11.so'), ('-e', 'pkcs11.so'), ('-K',), ('-S', 'provider.so', 'key'), ('plain',), ('-',), (),
              ('-d', 'plain'), ('-d',), ('-t', '1h', 'plain', 'missing'), ('-l', 'operand'), ('-?',))
OF_SSH_AGENT = (('-P', 'pkcs11*.so'), ('-O', 'allow-remote-pkcs11'), ('-D', '-P', 'x'), ('-u',), ('-?',))

RECORDER = '''#!/bin/sh
{ umask; pwd; for word; do printf '<%s>\\n' "$word"; done; /bin/cat; } > "$RECORD"
echo 'on stdout'
echo 'on stderr' >&2
exit 7
'''


class Links(Scenario):
    """With a recorder as the next program."""

    def setUp(self):
        super().setUp()
        self.links = link_folder(self.lab)
        self.next = self.lab.make_folder('next')
        for tool in TOOLS:
            self.lab.write(f'next/{tool}', RECORDER, mode=0o755)
        self.record = self.lab.path('record')
        self.path = f'{self.links}:{self.next}:{self.lab.env["PATH"]}'
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', self.lab.path('plain'))
        self.env = {**self.lab.no_tpm, 'PATH': self.path, 'RECORD': self.record}

    def call(self, tool, *arguments, env=None, **more):
        return self.lab.run(tool, *arguments, env={**self.env, **(env or {})}, **more)

    def assert_handed(self, tool, *arguments, **more):
        with self.subTest(tool, arguments=arguments):
            result = self.call(tool, *arguments, stdin='the input', umask=0o027, **more)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (7, 'on stdout\n', 'on stderr\n'))
            words = [f'<{word}>' for word in arguments]
            self.assertEqual(read(self.record).split('\n'), ['0027', self.lab.folder, *words, 'the input'])
            os.unlink(self.record)

    def test_calls_that_are_not_for_the_tpm_go_to_the_next_program_as_they_came(self):
        for tool, calls in zip(TOOLS, (OF_SSH_AGENT, OF_SSH_ADD, OF_SSH_KEYGEN)):
            for arguments in calls:
                self.assert_handed(tool, *arguments)

    def test_default_keys_that_are_in_files_go_there_too(self):
        os.mkdir(os.path.join(self.lab.home, '.ssh'), 0o700)
        shutil.copy(self.lab.path('plain'), os.path.join(self.lab.home, '.ssh', 'id_ecdsa'))
        for arguments in (('-p',), ('-l',), ('-y', '-t', 'ecdsa'), ('-c',)):
            self.assert_handed('ssh-keygen', *arguments)
        for arguments in ((), ('-d',), ('-t', '60')):
            self.assert_handed('ssh-add', *arguments)

    def test_it_never_hands_a_call_to_itself_or_to_another_ssh_tpm(self):
        other = self.lab.make_folder('other')  # an installation of its own: another inode
        shutil.copy(os.path.join(self.lab.bin, 'ssh-tpm'), other)
        beside = self.lab.make_folder('beside')
        shutil.copy(os.path.join(self.lab.bin, 'ssh-tpm'), os.path.join(beside, 'copy'))
        for tool in TOOLS:
            os.symlink('ssh-tpm', os.path.join(other, tool))
        before = f'{self.links}/:{other}:{self.links}:'
        self.assert_handed('ssh-keygen', '-A', env={'PATH': before + self.path})
        self.assert_handed(os.path.join(self.links, 'ssh-keygen'), '-A', env={'PATH': self.next + ':' + before})
        not_programs = self.lab.make_folder('not_programs')
        os.mkdir(os.path.join(not_programs, 'ssh-add'))
        self.lab.write('not_programs/ssh-keygen', RECORDER, mode=0o644)
        for folders in (before, before + not_programs, self.links):
            with self.subTest(folders):
                result = self.call('ssh-keygen', '-A', env={'PATH': folders})
                self.assert_error(result, 'no other ssh-keygen in PATH', 'hint: ', tool='ssh-keygen')
                result = self.call('ssh-add', 'plain', env={'PATH': folders})
                self.assert_error(result, 'no TPM key', 'no other ssh-add in PATH', tool='ssh-add')

    def test_a_pipe_is_left_for_the_next_program_to_read(self):
        os.mkfifo(self.lab.path('fifo'))
        self.assert_handed('ssh-keygen', '-l', '-f', 'fifo')
        self.assert_handed('ssh-add', 'fifo')

    def test_help_tells_where_the_options_are(self):
        for tool in TOOLS:
            with self.subTest(tool):
                result = self.call(tool, '--help', status=0)
                self.assertTrue(result.stdout.startswith(f'usage: {tool} '), result.stdout)
                self.assertIn(f'ssh-tpm-{tool.split("-")[1]} --help', result.stdout)
                self.assertFalse(os.path.exists(self.record))

    def test_a_value_that_is_wrong_here_makes_no_ordinary_key(self):
        for tool, *arguments in (('ssh-keygen', '-b', '+256'), ('ssh-keygen', '-E', 'sha512'), ('ssh-keygen', '-t'),
                                 ('ssh-agent', '-t', '0', 'true'), ('ssh-agent', '-E', 'md5'), ('ssh-agent', '-t')):
            with self.subTest(tool, arguments=arguments):
                result = self.call(tool, *arguments)
                self.assertRegex(result.stderr, f'^{tool}: error: ')
                self.assertNotEqual(result.returncode, 0)
                self.assertFalse(os.path.exists(self.record))

    def test_scripts_that_lead_back_to_it_come_to_an_end(self):
        for way, tool in (('exec', 'ssh-keygen'), ('', 'ssh-add')):
            self.lab.write(f'next/{tool}', f'#!/bin/sh\n{way} {self.links}/{tool} "$@"\n', mode=0o755)
            with self.subTest(way):
                result = self.call(tool, *{'ssh-keygen': ('-A',), 'ssh-add': ('plain',)}[tool])
                self.assert_error(result, 'again and again', 'hint: ', tool=tool)


def link_folder(lab):
    folder = lab.make_folder('links')
    for tool in TOOLS:
        os.symlink(os.path.join(lab.bin, 'ssh-tpm'), os.path.join(folder, tool))
    return folder


class Ours(WithTpm):
    """The calls for TPM keys, beside the OpenSSH of this machine."""

    def setUp(self):
        super().setUp()
        self.links = link_folder(self.lab)
        self.lab.env['PATH'] = f'{self.links}:{self.lab.env["PATH"]}'
        os.mkdir(os.path.join(self.lab.home, '.ssh'), 0o700)

    def home(self, *names):
        return os.path.join(self.lab.home, '.ssh', *names)

    def shell(self, script, status=0, shell='sh', **more):
        result = self.lab.run(shell, '-c', script, **more)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout

    def make(self, *options):
        self.lab.run('ssh-keygen', '-q', '-N', '', *options, status=0)

    def test_ssh_keygen_makes_and_changes_tpm_keys(self):
        self.make('-f', self.home('work'))
        self.make('-a', '100', '-t', 'rsa', '-b', '2048', '-f', self.home('id_rsa'), '-C', 'mine')
        self.assertEqual(sorted(os.listdir(self.home())),
                         ['id_rsa', 'id_rsa.pub', 'id_rsa.tpm', 'work', 'work.pub', 'work.tpm'])
        for options in (('-y', '-f', self.home('work')), ('-y', '-f', self.home('id_rsa.tpm')), ('-y', '-t', 'rsa')):
            with self.subTest(options):
                printed = self.lab.run('ssh-keygen', *options, status=0).stdout
                self.assertIn(printed.split()[1], read(self.home('work.pub')) + read(self.home('id_rsa.pub')))
        self.lab.run('ssh-keygen', '-p', '-P', '', '-N', '1234', '-f', self.home('work'), status=0)
        self.lab.run('ssh-keygen', '-c', '-C', 'new', '-P', '1234', '-f', self.home('work'), status=0)
        self.assertTrue(read(self.home('work.pub')).endswith(' new\n'))
        self.assertEqual((read(self.home('work')), os.readlink(self.home('work.tpm'))),
                         (read(self.home('work.tpm')), 'work'))
        refused = self.lab.run('ssh-keygen', '-p', '-P', 'wrong', '-N', '', '-f', self.home('work'))
        self.assert_error(refused, tool='ssh-keygen')
        again = self.lab.run('ssh-keygen', '-q', '-N', '', '-f', self.home('work'))
        self.assert_error(again, 'exists', tool='ssh-keygen')
        os.unlink(self.home('work'))  # as scripts do, which know nothing of the link
        os.unlink(self.home('work.pub'))
        self.make('-o', '-f', self.home('work'))
        self.assertEqual(read(self.home('work')), read(self.home('work.tpm')))

    def test_another_key_of_the_name_is_never_replaced(self):
        key = self.lab.make_key('other')
        before = read(key.tpm)
        refused = self.lab.run('ssh-keygen', '-q', '-N', '', '-f', key.path, stdin='y\n')
        self.assert_error(refused, key.tpm, 'hint: ', tool='ssh-keygen')
        self.assertEqual((read(key.tpm), os.path.lexists(key.path)), (before, False))

    def test_each_ssh_agent_is_its_own(self):
        self.make('-f', self.home('id_ecdsa'))
        usual = Agent(self.lab, key_dir=self.home())
        script = '''set -e; eval "$(ssh-agent)" > /dev/null; one=$SSH_AUTH_SOCK
                    eval "$(ssh-agent -s)" > /dev/null; ssh-add -L; test "$one" != "$SSH_AUTH_SOCK"
                    ssh-agent -k; SSH_AUTH_SOCK=$one ssh-add -L'''
        lines = self.shell(script, env={'SSH_TPM_AUTH_SOCK': usual.socket, 'SHELL': '/bin/sh'}).splitlines()
        self.assertEqual(lines[0], read(self.home('id_ecdsa.pub')).strip())
        self.assertEqual((lines[-1], len(usual.listed())), (lines[0], 1))
        self.assertIn('unset SSH_AUTH_SOCK;', lines)

    def test_print_socket_names_the_usual_one(self):
        printed = [self.lab.run(program, '--print-socket', status=0).stdout
                   for program in ('ssh-agent', 'ssh-agent', f'{self.lab.bin}/ssh-tpm-agent')]
        self.assertEqual(len(set(printed)), 1, printed)

    def test_ssh_agent_k_ends_openssh_s_agent_too(self):
        script = '''set -e; eval "$(/usr/bin/ssh-agent -s)" >/dev/null; echo "$SSH_AUTH_SOCK"; ssh-agent -k
                    eval "$(ssh-agent)" >/dev/null; ssh-tpm-agent -k'''
        first, *printed = self.shell(script, env={'SHELL': '/bin/sh'}).splitlines()
        self.assertEqual(printed.count('unset SSH_AGENT_PID;'), 2, printed)
        wait_until(lambda: not os.path.exists(first), 'the end of the first agent')
        usual = Agent(self.lab, name='run/ssh-tpm-agent')  # where -k of ssh-tpm-agent looks without a variable
        self.shell('ssh-agent -k', status=1)
        usual.settle()

    def test_ssh_agent_in_the_foreground(self):
        agent = self.lab.start('ssh-agent', '-D', '-a', self.lab.path('sock'))
        agent.wait_line('listening on')
        self.shell('ssh-add -l', status=1, env={'SSH_AUTH_SOCK': self.lab.path('sock')})
        agent.popen.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0)

    def test_ssh_add_adds_tpm_keys_and_the_next_one_the_others(self):
        self.make('-f', self.home('id_ecdsa'))
        self.lab.run('ssh-keygen', '-q', '-N', '', '-t', 'ed25519', '-f', self.home('id_ed25519'), status=0)
        self.assertTrue(os.path.exists(self.home('id_ed25519')))
        upstream = self.lab.start('/usr/bin/ssh-agent', '-D', '-a', self.lab.path('upstream'))
        upstream.wait_line('Agent pid')
        agent = Agent(self.lab, '--no-load', '-A', self.lab.path('upstream'))
        env = {'SSH_AUTH_SOCK': agent.socket}
        both = [read(self.home(name)).strip() for name in ('id_ecdsa.pub', 'id_ed25519.pub')]
        for files in ((self.home('id_ecdsa'), self.home('id_ed25519')),
                      ('-t', '60', self.home('id_ed25519'), self.home('id_ecdsa.tpm'))):
            with self.subTest(files):
                result = self.lab.run('ssh-add', *files, env=env, status=0)
                self.assertEqual(result.stderr.count('Identity added'), 2, result.stderr)
                self.assertEqual(agent.listed(), both)
                self.lab.run('ssh-add', '-d', *files[-2:], env=env, status=0)
                self.assertEqual(agent.listed(), [])
        failed = self.lab.run('ssh-add', self.home('id_ecdsa'), self.home('missing'), env=env)
        self.assertEqual((failed.returncode, agent.listed()), (1, both[:1]))

    def test_default_keys_of_both_kinds_are_added(self):
        """OpenSSH's ssh-add looks for its own in the home folder of passwd, which is not the lab's: a recorder."""
        self.make('-f', self.home('id_ecdsa'))
        self.lab.make_folder('next')
        self.lab.write('next/ssh-add', RECORDER, mode=0o755)
        agent = Agent(self.lab, '--no-load')
        env = {'SSH_AUTH_SOCK': agent.socket, 'RECORD': self.lab.path('record'),
               'PATH': f'{self.links}:{self.lab.path("next")}:{self.lab.env["PATH"]}'}
        self.lab.run('ssh-add', '-t', '60', env=env, status=0)
        self.assertFalse(os.path.exists(self.lab.path('record')))
        other = self.lab.write('home/.ssh/id_ed25519', 'a key')
        self.lab.write('home/.ssh/id_deploy', 'no default key')
        for options, kept in ((('-t', '60'), ('-t', '60')), (('-c', '--pin'), ('-c',)),
                              (('-v', '-N'), ('-N', '-v')), (('-d', '-q'), ('-d', '-q')),
                              (('-q', '-H', 'hosts', '-h', 'h'), ('-q', '-h', 'h', '-H', 'hosts'))):
            self.lab.write('hosts', 'h ' + read(self.home('id_ecdsa.pub')))
            self.lab.run('ssh-add', *options, env=env, status=7)
            words = [f'<{word}>' for word in (*kept, '--', other)]
            self.assertEqual(read(self.lab.path('record')).split('\n')[2:], [*words, ''])

    def test_the_agent_of_ssh_auth_sock_is_asked(self):
        agent, other = Agent(self.lab, '--no-load'), self.lab.path('nobody')
        env = {'SSH_AUTH_SOCK': agent.socket, 'SSH_TPM_AUTH_SOCK': other}
        self.assertEqual(self.lab.run('ssh-add', '-l', env=env).returncode, 1)
        self.assertEqual(self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '-l', env=env).returncode, 2)

    @unittest.skipUnless(shutil.which('git'), 'no git')
    def test_git_signs_commits(self):
        self.make('-f', self.home('id_ecdsa'), '-C', 'me')
        agent = Agent(self.lab, key_dir=self.home())
        self.lab.write('allowed', f'me@example.org {read(self.home("id_ecdsa.pub"))}')
        self.shell(f'''set -e; git init -q repo; cd repo; git config user.name me; git config user.email me@example.org
            git config gpg.format ssh; git config user.signingKey {self.home('id_ecdsa.pub')}
            git config gpg.ssh.allowedSignersFile ../allowed
            git commit -q -S --allow-empty -m signed; git verify-commit HEAD''', env={'SSH_AUTH_SOCK': agent.socket})

    @unittest.skipUnless(shutil.which('keychain'), 'no keychain')
    def test_keychain_starts_the_agent_and_adds_the_key(self):
        self.make('-f', self.home('id_ecdsa'))
        self.lab.make_folder('kept')
        for _ in range(2):  # the second time it finds the agent of the first
            listed = self.shell('''keychain --quiet --dir kept --agents ssh id_ecdsa
                . "kept/.keychain/$(uname -n)-sh"; ssh-add -L''')
            self.assertEqual(listed, read(self.home('id_ecdsa.pub')))
        self.shell('keychain --quiet --dir kept --agents ssh -k mine')

    def test_ssh_copy_id_and_addkeystoagent(self):
        self.make('-f', self.home('id_ecdsa'))
        self.lab.run('ssh-keygen', '-q', '-N', '', '-t', 'ecdsa', '-m', 'PEM', '-f', self.home('plain'), status=0)
        for tools in generations():
            with self.subTest(openssh=tools.name):
                agent = Agent(self.lab, key_dir=self.home(), name='agent.' + tools.name)
                server = Sshd(self.lab, authorized=[self.home('plain.pub')], name='sshd.' + tools.name, tools=tools)
                login = server.login(agent, '-o', 'IdentityFile=' + self.home('plain'), '-o', 'AddKeysToAgent=yes')
                self.assertEqual((login.returncode, login.stdout), (0, 'in\n'), login.stderr)
                self.assertEqual(len(agent.listed()), 2)

    def test_a_script_written_for_openssh(self):
        script = '''set -eu
            key=$HOME/.ssh/id_ecdsa
            [ -f "$key" ] || ssh-keygen -q -t ecdsa -b 256 -N '' -C "$USER" -f "$key"
            [ -f "$key" ] && [ -f "$key.pub" ] || exit 3
            eval "$(ssh-agent -s)" >&2
            trap 'ssh-agent -k >&2' EXIT
            ssh-add "$key" && ssh-add -l && ssh-add -T "$key.pub"
            ssh-keygen -l -f "$key.pub"; ssh-keygen -y -f "$key" > again.pub
            ssh-keygen -Y sign -q -n file -f "$key.pub" < again.pub > again.sig
            printf 'me ' | cat - "$key.pub" > allowed
            ssh-keygen -Y verify -n file -f allowed -I me -s again.sig < again.pub'''
        for _ in range(2):  # the second time with the key of the first
            printed = self.shell(script)
            self.assertEqual(printed.count(self.lab.fingerprint(type('', (), {'pub': self.home('id_ecdsa.pub')}))), 3)


if __name__ == '__main__':
    unittest.main()
