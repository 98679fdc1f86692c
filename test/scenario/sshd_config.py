#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ssh-tpm-hostkeys writes for sshd: the certificates that are there, and the agent of a hierarchy's keys."""

import functools
import os
import re
import shutil
import socket
import threading
import unittest

from applet_options import SOURCE
from hierarchy import KINDS, HierarchyAgent, base_of
from lab import Scenario, needs_root, read
from live_system import INCLUDE, PROGRAMS, UNITS, LiveSystem
from openssh import generations
from softkey import SoftKey
from sshd import USER, Sshd, sshd_of_version


@needs_root
class SshdConfig(LiveSystem):
    def certify(self, kind='ecdsa', *options):
        if not os.path.exists(self.lab.path('ca')):
            self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', self.lab.path('ca'))
        names = 'the.host,' + socket.gethostname().lower()
        self.lab.ssh_keygen('-q', '-s', self.lab.path('ca'), '-I', 'id', '-h', '-n', names, *options,
                            base_of(self.root, kind) + '.pub')

    def test_certificates_are_given_to_sshd_once_they_are_there_and_clients_take_them(self):
        self.make_keys()
        self.start_agent()
        self.hostkeys('--install-sshd-config', status=0)
        before = read(self.drop_in())
        for kind in KINDS:
            self.certify(kind)
            result = self.hostkeys('--install-sshd-config', status=0)
            self.assertEqual((result.stdout.count('wrote '), result.stderr), (1, ''))
            self.assertIn(f'HostCertificate {base_of("/", kind)}-cert.pub\n', read(self.drop_in()))
            self.assertNotIn('wrote ', self.hostkeys('--install-sshd-config', status=0).stdout)
        known = self.lab.write('known', '@cert-authority the.host ' + read(self.lab.path('ca.pub')))
        for algorithm in 'ecdsa-sha2-nistp256-cert-v01@openssh.com', 'rsa-sha2-512-cert-v01@openssh.com':
            result = self.run_there('ssh', '-F', 'none', '-v', '-o', 'ProxyCommand=/usr/sbin/sshd -i',
                                    '-o', f'UserKnownHostsFile={known}', '-o', 'GlobalKnownHostsFile=/dev/null',
                                    '-o', 'StrictHostKeyChecking=yes', '-o', f'HostKeyAlgorithms={algorithm}',
                                    '-o', 'BatchMode=yes', 'me@the.host', 'true')
            self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
            self.assertRegex(result.stderr, "Host 'the.host' is known and matches the .*-CERT host certificate")
        for kind in KINDS:
            os.unlink(base_of(self.root, kind) + '-cert.pub')
        self.assertIn('wrote ', self.hostkeys('--install-sshd-config', status=0).stdout)
        self.assertEqual(read(self.drop_in()), before)

    def assert_mended(self, words, hint, *commands):
        """--check says the words and the hint, and nothing after the commands."""
        printed = self.hostkeys('--check').stdout.replace('\n        ', ' ')
        self.assertRegex(printed, words)
        self.assertIn(hint, printed)
        for command in commands:
            command()
        self.hostkeys('--check', status=0)

    def install(self):
        self.hostkeys('--install-sshd-config', status=0)

    def test_the_hints_about_certificates_mend_what_check_finds(self):
        self.make_keys()
        self.start_agent()
        path = base_of(self.root, 'ecdsa') + '-cert.pub'
        seen, sign = path.removeprefix(self.root), f'-I ID -n {socket.gethostname().lower()}'
        self.certify('ecdsa', '-V', '-2d:-1d')
        self.install()
        self.assert_mended(f'warn  {seen}: sshd does not show this certificate: expired at ', sign, self.certify,
                           self.install)
        os.unlink(path)
        os.mkdir(path)
        self.assertIn(f'hint: move it away, and then ssh-keygen -s CA -h {sign} ',
                      self.hostkeys('--install-sshd-config', status=0).stderr)
        os.rmdir(path)
        self.certify()
        self.install()
        os.unlink(path)
        self.assert_mended(f'fail  {seen}: No such file', 'ssh-tpm hostkeys --install-sshd-config', self.install)
        self.certify()
        self.install()
        self.lab.ssh_keygen('-q', '-s', self.lab.path('ca'), '-I', 'id', base_of(self.root, 'ecdsa') + '.pub')
        self.assert_mended(f"fail  {seen}: a user's certificate", sign, self.certify)
        os.rename(base_of(self.root, 'rsa') + '.pub', self.lab.path('rsa.pub'))
        self.certify()
        self.lab.ssh_keygen('-q', '-s', self.lab.path('ca'), '-I', 'id', '-h', self.lab.path('rsa.pub'))
        os.rename(self.lab.path('rsa-cert.pub'), path)
        self.install()
        self.assert_mended(f'warn  {seen}: sshd does not show this certificate: of another key', sign, self.certify,
                           self.install)

    def test_the_hint_about_a_key_that_is_not_served_mends_it(self):
        self.make_keys()
        base = base_of(self.root, 'rsa')
        self.start_agent()
        self.install()

        def restart():
            self.agent.stop()
            self.start_agent()
        os.unlink(base + '.tpm')
        restart()
        make = functools.partial(self.lab.keygen, '-q', '-A', '-f', self.root)
        self.assert_mended('the agent does not serve this key',
                           'mv {0} {0}.old && systemctl restart ssh-tpm-genkeys.service && '
                           'systemctl reload ssh'.format(base.removeprefix(self.root) + '.pub'),
                           lambda: os.unlink(base + '.pub'), make,
                           restart)
        self.lab.write(base + '.tpm', 'broken')
        restart()
        self.assert_mended(f'fail  .*_rsa_key: {base.removeprefix(self.root)}.tpm: ', 'ssh-tpm hostkeys --renew',
                           lambda: self.hostkeys('--renew', '--yes', status=0), restart)

    def test_a_key_that_clients_would_choose_in_vain_is_not_installed(self):
        """ssh prefers ECDSA keys to RSA keys."""
        self.make_keys()
        os.unlink(base_of(self.root, 'ecdsa') + '.tpm')
        self.start_agent()
        words = 'clients would choose a key with which the agent does not sign'
        result = self.assert_refused(words)
        self.assertIn('ecdsa_key: the agent does not serve this key', result.stderr)
        self.assertIn('rsa_key: the agent signs with ', result.stdout)
        self.agent.stop()
        self.make_keys()
        self.start_agent()
        self.config(self.plain_key())
        os.chmod(self.etc + '/ssh/plain', 0o644)  # sshd did without it, and would have the agent sign
        self.assert_refused(words, '/etc/ssh/plain: sshd cannot read this file', 'chmod 600 /etc/ssh/plain')

    def test_keys_that_sshd_does_not_use_are_not_enough(self):
        self.make_keys()
        self.start_agent()
        self.config('HostKeyAlgorithms rsa-sha2-512', 'RequiredRSASize 3072')
        self.assert_refused('signs with none of these host keys', 'ecdsa_key: sshd offers no algorithm of this key',
                            'rsa_key: sshd does not use this key')

    def test_a_missing_public_half_is_named(self):
        self.make_keys()
        self.start_agent()
        os.unlink(base_of(self.root, 'ecdsa') + '.pub')
        result = self.hostkeys('--install-sshd-config', status=0)
        self.assertIn('warning: /etc/ssh/ssh_tpm_host_ecdsa_key.pub: is missing, so sshd does not get this key\n'
                      'hint: ssh-tpm keygen -A writes it\n', result.stderr)
        self.lab.keygen('-q', '-A', '-f', self.root)
        result = self.hostkeys('--install-sshd-config', status=0, env=sshd_of_version(self.lab, '10.0'))
        self.assertEqual(result.stderr, '')

    def test_before_the_first_step_the_usual_keys_of_sshd_are_no_lines_to_remove(self):
        self.plain_key('ssh_host_ecdsa_key')
        self.make_keys()
        self.start_agent()
        self.assert_mended('in a file, not in the TPM', 'ssh-tpm hostkeys --install-sshd-config has sshd use those in',
                           self.install)

    def test_a_public_half_of_another_key_is_found_and_written_again(self):
        self.make_keys()
        self.start_agent()
        ecdsa, rsa = (base_of(self.root, kind) + '.pub' for kind in KINDS)
        shutil.copy(rsa, ecdsa)
        words = f'{ecdsa.removeprefix(self.root)}: holds another key than the one in {base_of("/", "ecdsa")}.tpm'
        hint = f'move {ecdsa.removeprefix(self.root)} away: ssh-tpm keygen -A writes it again'
        self.assert_refused(words, hint)
        self.assertIn(words, self.hostkeys('--renew', '--yes', status=1).stderr.replace('\n', ' '))
        self.lab.write('root/etc/ssh/sshd_config.d/a.conf', ''.join(
            line + '\n' for line in ('HostKeyAgent /run/ssh-tpm-agent/agent.sock',
                                     *(f'HostKey {base_of("/", kind)}' for kind in KINDS))))
        self.assert_mended(words, hint, lambda: os.unlink(ecdsa),
                           functools.partial(self.lab.keygen, '-q', '-A', '-f', self.root))

    def test_a_file_that_sshd_does_not_read_or_only_for_some_connections_needs_an_include_line(self):
        self.make_keys()
        self.start_agent()
        hint = 'write in /etc/ssh/sshd_config, above all other lines: Include /etc/ssh/sshd_config.d/*.conf'
        for text in '# nothing\n', f'Match User me\n{INCLUDE}':
            self.lab.write('root/etc/ssh/sshd_config', text)
            self.assert_refused('sshd -t refuses the configuration', hint)
            self.config()
            self.install()
            self.lab.write('root/etc/ssh/sshd_config', text)
            self.assert_mended('fail  sshd -T fails: ', hint, lambda text=text: self.config(*text.splitlines()[:-1]))
            self.lab.write('root/etc/ssh/sshd_config', INCLUDE + self.plain_key() + '\n')
            self.hostkeys('--uninstall', status=0)

    def test_a_line_that_names_another_agent_has_a_hint_that_works(self):
        self.make_keys()
        self.start_agent()
        self.install()
        for word, check in ("'/else where'", " --socket '/else where'"), ('SSH_AUTH_SOCK', ''):
            self.lab.write('root/etc/ssh/sshd_config', f'HostKeyAgent {word}\n{INCLUDE}{self.plain_key()}\n')
            printed = self.hostkeys('--check', status=1).stdout.replace('\n        ', ' ')
            self.assertIn('remove that line, and run ssh-tpm hostkeys --install-sshd-config', printed)
            self.assertEqual('ssh-tpm hostkeys --check' in printed, check != '')
            self.assertIn(check, printed)
        self.config()
        self.lab.write(self.drop_in(), read(self.drop_in()).replace('/run/', '/run/../run/'))
        self.hostkeys('--check', status=0)

    def test_a_subsystem_of_the_same_name_that_somebody_has_set_stays(self):
        """sshd before 10 refuses a second one."""
        self.make_keys()
        self.start_agent()
        ours = f'Subsystem ssh-tpm-attest "{PROGRAMS}/ssh-tpm" attest serve --socket /run/ssh-tpm-agent/attest.sock\n'
        self.install()
        self.assertIn(ours, read(self.drop_in()))
        line = 'Subsystem ssh-tpm-attest /usr/local/bin/mine'
        first = os.path.join(os.path.dirname(self.drop_in()), '10-mine.conf')
        for place, write in ((f'{first} line 1', lambda: self.lab.write(first, line + '\n')),
                             ('/etc/ssh/sshd_config line 2', lambda: self.config(line))):
            write()
            result = self.hostkeys('--install-sshd-config', status=0)
            self.assertIn('warning: sshd does not get the subsystem ssh-tpm-attest: '
                          f'{place.removeprefix(self.root)} sets it already\nhint: ', result.stderr)
            self.assertNotIn('Subsystem', read(self.drop_in()))
            self.hostkeys('--check', status=0)
            self.lab.write(first, '')
            self.config('Subsystem sftp internal-sftp')
            self.assertEqual(self.hostkeys('--install-sshd-config', status=0).stderr, '')
            self.assertIn(ours, read(self.drop_in()))

    def test_a_sshd_that_a_signal_ends_is_not_called_content(self):
        self.lab.make_folder('tools')
        self.lab.write('tools/sshd', '#!/bin/sh\nkill -SEGV $$\n', mode=0o755)
        self.assert_refused('sshd -t refuses the configuration: exit status 139',
                            env={'PATH': self.lab.path('tools') + ':' + self.lab.env['PATH']})

    def serve_hierarchy(self, name='endorsement'):
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', name, '-t', 'ecdsa')
        self.agent = HierarchyAgent(self.lab, name, '--no-seal', '--no-cache')
        self.socket, self.socket_name = self.agent.socket, name

    def test_the_hint_after_tpm2_clear_mends_a_key_of_the_owner_hierarchy(self):
        self.serve_hierarchy('owner')
        self.hostkeys('--install-sshd-config', '--hierarchy', 'owner', status=0)
        self.tpm.tool('tpm2_clear')
        self.agent.stop()
        self.agent = HierarchyAgent(self.lab, 'owner', '--no-seal', '--no-cache')
        self.assert_mended('the agent does not serve this key',
                           'ssh-tpm hostkeys --renew --hierarchy owner',
                           lambda: self.hostkeys('--renew', '--yes', '--hierarchy', 'owner', status=0))

    def test_the_agent_of_a_hierarchy_is_installed_checked_and_uninstalled(self):
        self.serve_hierarchy()
        options = ('--install-sshd-config', '--hierarchy', 'endorsement')
        result = self.hostkeys(*options, status=0)
        self.assertEqual((result.stdout.count('the agent signs with ecdsa-sha2-nistp256\n'), result.stderr), (1, ''))
        self.assertIn('HostKeyAgent /run/ssh-tpm-agent/endorsement.sock\nHostKey /etc/ssh/ssh_tpm_host_ecdsa_key\n',
                      read(self.drop_in()))
        self.assertNotIn('wrote ', self.hostkeys(*options, status=0).stdout)
        for chosen in (), ('--hierarchy', 'e'), ('--socket', '/run/ssh-tpm-agent/endorsement.sock'):
            self.assertEqual(self.hostkeys('--check', *chosen).returncode, 0)
        self.assertRegex(self.hostkeys('--check', '--hierarchy', 'owner', status=1).stdout,
                         '(?m)^fail  HostKeyAgent is /run/ssh-tpm-agent/endorsement.sock')
        self.assertNotIn('wrote ', self.hostkeys('--install-sshd-config', status=0).stdout)
        self.assert_refused('sshd -t refuses', options=('--uninstall',))
        self.config(self.plain_key())
        self.assertIn('removed /etc/ssh/sshd_config.d/70-ssh-tpm.conf', self.hostkeys('--uninstall', status=0).stdout)
        self.config()
        self.assert_refused('sshd -t refuses', f'systemctl enable --now {UNITS} first')  # for the agent of key files

    def test_the_file_for_one_agent_takes_the_place_of_that_for_another_if_logins_work(self):
        self.make_keys()
        self.start_agent()
        self.hostkeys('--install-sshd-config', status=0)
        self.assert_refused('sshd -t refuses', 'ssh-tpm-genkeys@owner.service ssh-tpm-hostkeys@owner.socket first',
                            options=('--install-sshd-config', '--hierarchy', 'owner'))
        self.agent.stop()
        for kind in KINDS:
            for ending in '.tpm', '.pub':
                os.unlink(base_of(self.root, kind) + ending)
        self.serve_hierarchy()
        self.hostkeys('--install-sshd-config', '--hierarchy', 'endorsement', status=0)
        self.assertIn('endorsement.sock', read(self.drop_in()))
        self.lab.write(self.drop_in(), read(self.drop_in()) + '# mine\n')
        self.assert_refused('differs from the file', options=('--install-sshd-config', '--hierarchy', 'endorsement'))


class Subsystem(Scenario):
    """The line of the file, with another socket, in each release of sshd."""

    def answer(self, listener):
        """As the service: a line for a line."""
        client, _ = listener.accept()
        with client, client.makefile('rw') as stream:
            stream.write(f'answer to {stream.readline()}')

    def test_the_question_of_a_client_comes_to_the_service_and_its_answer_back(self):
        (line,) = re.findall('(?m)^Subsystem .*$', read(os.path.join(SOURCE, 'data/ssh/70-ssh-tpm.conf.in')))
        user, path = SoftKey(self.lab, self.lab.path('user')), self.lab.path('attest.sock')
        for place, new in ('@PROGRAM@', f'"{self.lab.bin}/ssh-tpm"'), ('/run/ssh-tpm-agent/attest.sock', path):
            self.assertIn(place, line)
            line = line.replace(place, new)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            for tools in generations():
                server = Sshd(self.lab, line, authorized=[user.pub], tools=tools, name=tools.name)
                service = threading.Thread(target=self.answer, args=(listener,), daemon=True)
                service.start()
                result = self.lab.run(
                    tools.path('ssh'), '-F', 'none', '-p', str(server.port), '-i', user.path, '-o', 'BatchMode=yes',
                    '-o', 'IdentityAgent=none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
                    '-o', 'LogLevel=ERROR', '-s', f'{USER}@127.0.0.1', 'ssh-tpm-attest', stdin='a question\n')
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, 'answer to a question\n', ''))
                service.join()
                server.process.end()


if __name__ == '__main__':
    unittest.main()
