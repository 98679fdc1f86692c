#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys on the system that runs: sshd is left as it was where it could serve no login."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import threading
import unittest

from hierarchy import KINDS, base_of
from lab import NO_LEAK_CHECK, NOBODY, contents, link_program, mode, needs_root, read
from live_system import INCLUDE, PROGRAMS, UNITS, LiveSystem
from process import DEADLINE
from softkey import SoftKey
from sshd import free_port, sshd_of_version


def drip(listener, pace):
    """Answers the newest connection with a byte now and then, until it is closed."""
    listener.accept()[0].close()  # of the run before
    connection = listener.accept()[0]
    stop = threading.Event()
    with connection, contextlib.suppress(OSError):
        for byte in struct.pack('>I', 1000) + bytes(1000):
            connection.sendall(bytes([byte]))
            stop.wait(pace)


@needs_root
class HostKeysLive(LiveSystem):
    def test_what_works_stays(self):
        self.make_keys()
        self.start_agent()
        result = self.hostkeys('--install-sshd-config', status=0)
        self.assertIn('wrote /etc/ssh/sshd_config.d/70-ssh-tpm.conf', result.stdout)
        self.assertIn('/etc/ssh/ssh_tpm_host_ecdsa_key: the agent signs with ecdsa-sha2-nistp256\n', result.stdout)
        self.assertIn('/etc/ssh/ssh_tpm_host_rsa_key: the agent signs with rsa-sha2-512,rsa-sha2-256\n', result.stdout)
        self.hostkeys('--check', status=0)

    def test_who_is_not_root_is_told(self):
        for place, _, _ in os.walk(self.root):
            os.chmod(place, 0o755)
        for options in (('--install-system-units',), ('--install-sshd-config',)):
            result = self.run_there('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
                                    PROGRAMS + '/ssh-tpm', 'hostkeys', *options, env=NO_LEAK_CHECK)
            self.assert_problem(result, 'Permission denied', 'hint: ', 'run it as root')

    def test_a_missing_folder_is_an_error(self):
        shutil.rmtree(self.etc + '/ssh/sshd_config.d')
        self.assert_refused('/etc/ssh/sshd_config.d: no such folder', 'hint: mkdir /etc/ssh/sshd_config.d, and write in')
        self.hostkeys('--uninstall', status=0)

    def test_a_lock_file_that_is_none_is_an_error(self):
        for command in 'mkdir', 'ln -s /etc/passwd':
            result = self.run_there('sh', '-c', command + ' /run/ssh-tpm-hostkeys.lock && exec "$@"', 'sh',
                                    PROGRAMS + '/ssh-tpm', 'hostkeys', '--install-sshd-config')
            self.assert_problem(result, '/run/ssh-tpm-hostkeys.lock: cannot be locked', 'hint: remove it')

    # sshd's word

    def test_what_sshd_refuses_is_taken_back(self):
        self.assert_refused('sshd -t refuses')
        force = ('--install-sshd-config', '--force')
        drop_in = self.lab.write('root/etc/ssh/sshd_config.d/70-ssh-tpm.conf', '# mine\n', mode=0o640)
        os.chown(drop_in, NOBODY, NOBODY)
        self.assert_refused('sshd -t refuses', options=force)
        self.assertEqual((read(drop_in), mode(drop_in)), ('# mine\n', 0o640))
        self.assertEqual((os.stat(drop_in).st_uid, os.stat(drop_in).st_gid), (NOBODY, NOBODY))
        os.rename(drop_in, drop_in + '.elsewhere')
        os.symlink('70-ssh-tpm.conf.elsewhere', drop_in)
        self.assert_refused('sshd -t refuses', options=force)
        self.assertEqual((read(drop_in), os.readlink(drop_in)), ('# mine\n', '70-ssh-tpm.conf.elsewhere'))

    def test_where_files_cannot_be_exchanged_the_old_one_comes_back_too(self):
        drop_in = self.lab.write('root/etc/ssh/sshd_config.d/70-ssh-tpm.conf', '# mine\n')
        self.assert_refused('sshd -t refuses', options=('--install-sshd-config', '--force'), fault='no_exchange')
        self.assert_refused(drop_in.removeprefix(self.root), 'hint: nothing was changed',
                            options=('--install-sshd-config', '--force'), fault='no_links')
        os.unlink(drop_in)
        self.assert_refused('sshd -t refuses', fault='no_exchange')

    def test_sshd_that_cannot_tell_its_settings_is_refused(self):
        self.make_keys()
        self.start_agent()
        self.lab.make_folder('tools')
        self.lab.write('tools/sshd', '#!/bin/sh\necho hostkeyagent\n', mode=0o755)
        path = self.lab.path('tools') + ':' + self.lab.env['PATH']
        self.assert_refused('sshd -T: "hostkeyagent" has no value', env={'PATH': path})

    def test_force_replaces_what_is_no_file(self):
        self.make_keys()
        self.start_agent()
        os.mkfifo(self.drop_in())
        self.assert_refused('70-ssh-tpm.conf')
        self.hostkeys('--install-sshd-config', '--force', status=0)
        self.assertIn('HostKeyAgent', read(self.drop_in()))

    def test_without_proc_sshds_words_are_shown(self):
        result = self.run_there('sh', '-c', 'mount -t tmpfs tmpfs /proc && exec "$@"', 'sh', PROGRAMS + '/ssh-tpm',
                                'hostkeys', '--install-sshd-config')
        self.assert_problem(result, 'sshd -t refuses', 'no hostkeys available')

    def test_a_mistake_in_the_configuration_is_not_the_agents_fault(self):
        self.make_keys()
        self.start_agent()
        self.config('UsePrivilegeSeparation yes', 'Nonsense 1')
        words = 'mend /etc/ssh/sshd_config line 3'
        self.assert_refused('sshd -t refuses', 'Nonsense', words)
        self.assertIn(f'hint: {words}\n', self.hostkeys('--check', status=1).stdout)
        self.config('UsePrivilegeSeparation yes')
        self.hostkeys('--install-sshd-config', status=0)
        result = self.run_there('sh', '-c', 'rmdir /run/sshd && exec "$@"', 'sh', PROGRAMS + '/ssh-tpm',
                                'hostkeys', '--check', status=1)
        self.assertIn('mkdir -m 755 /run/sshd\n', result.stdout)
        self.socket = self.lab.path('nobody')
        self.assertIn('systemctl enable --now ssh-tpm-hostkeys.socket\n',
                      re.search('sshd -T fails(.*\n)*?.*hint: .*\n', self.hostkeys('--check', status=1).stdout)[0])

    def test_what_sshd_does_not_read_is_taken_back(self):
        self.lab.write('root/etc/ssh/sshd_config', self.plain_key() + '\n')
        self.assert_refused('does not read the new file', 'none', 'Include')

    def test_the_line_that_sets_another_agent_first_is_named(self):
        plain = self.plain_key()
        self.make_keys()
        self.start_agent()
        config = self.lab.write('root/etc/ssh/sshd_config', f'{plain}\n hostkeyagent="/else where"\n{INCLUDE}')
        where = 'HostKeyAgent is /else where, which /etc/ssh/sshd_config line 2 sets first'
        self.assert_refused(where, 'sshd takes the first HostKeyAgent: remove that line')
        self.assertIn(f'fail  {where}\n      hint: remove that line', self.hostkeys('--check', status=1).stdout)
        for line in ('HostKeyAgent /run/ssh-tpm-agent/agent.sock # the same', '# HostKeyAgent /elsewhere',
                     "HostKeyAgent '/run/ssh-tpm-agent/agent.sock'", 'HostKeyAgent /run/ssh-tpm-agent/"agent".sock'):
            self.lab.write(config, f'{line}\n{INCLUDE}HostKeyAgent /elsewhere\n')
            self.hostkeys('--install-sshd-config', status=0)
            self.hostkeys('--check', status=0)
            self.lab.write(config, f'{INCLUDE}{plain}\n')
            self.hostkeys('--uninstall', status=0)

    def test_the_file_of_the_program_in_go_is_to_be_removed(self):
        """Whose agent does not run: without another host key, sshd then refuses the configuration."""
        self.make_keys()
        self.start_agent()
        lines = ['# theirs', '', 'HostKeyAgent /var/tmp/ssh-tpm-agent.sock',
                 *(f'HostKey {base_of("/", kind)}.pub' for kind in KINDS)]
        theirs = self.lab.write('root/etc/ssh/sshd_config.d/10-ssh-tpm-agent.conf', '\n'.join(lines) + '\n')
        place = '/etc/ssh/sshd_config.d/10-ssh-tpm-agent.conf line 3'
        for config in (), (self.plain_key(),):
            self.config(*config)
            self.assert_refused(place, 'written in Go installed this file: remove it')
            printed = self.hostkeys('--check', status=1).stdout
            self.assertIn(place, printed)
            self.assertIn('written in Go installed this file:', printed)
        os.unlink(theirs)
        self.hostkeys('--install-sshd-config', status=0)

    def test_a_key_in_a_file_before_one_of_its_type_is_named_with_its_line(self):
        self.make_keys()
        self.start_agent()
        plain = self.plain_key()
        config = self.lab.write('root/etc/ssh/sshd_config', f'# first\n{plain}\n{INCLUDE}')
        words = '/etc/ssh/ssh_tpm_host_ecdsa_key: sshd does not use this key, but /etc/ssh/plain'
        hint = 'remove the HostKey line of /etc/ssh/plain (/etc/ssh/sshd_config line 2)'
        result = self.hostkeys('--install-sshd-config', status=0)
        self.assertIn('warning: ' + words, result.stderr)
        self.assertIn(hint, result.stderr)
        printed = self.hostkeys('--check', status=3).stdout.replace('\n        ', ' ')  # hints in one line
        self.assertIn('warn  ' + words, printed)
        self.assertIn(hint, printed)
        self.lab.write(config, f'{INCLUDE}{plain}\n')
        printed = self.hostkeys('--check', status=3).stdout.replace('\n        ', ' ')  # hints in one line
        self.assertIn('remove its HostKey line (/etc/ssh/sshd_config line 2)', printed)
        self.assertEqual(printed.count('sshd does not use'), 1)  # the key in the file
        self.assertIn('remove the HostKey line of this key (/etc/ssh/sshd_config line 2)', printed)
        # A public key that no agent serves does not push the working one out.
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', self.root + '/etc/ssh/unserved')
        os.unlink(self.root + '/etc/ssh/unserved')
        self.lab.write(config, f'{INCLUDE}{plain}\nHostKey /etc/ssh/unserved\n')
        printed = self.hostkeys('--check', status=1).stdout
        self.assertIn('fail  /etc/ssh/unserved: the agent does not serve this key\n', printed)
        self.assertNotIn('/etc/ssh/ssh_tpm_host_ecdsa_key: sshd does not use', printed)

    def test_the_names_of_this_host_are_those_of_its_line_in_etc_hosts(self):
        self.make_keys()
        self.start_agent()
        self.config(f'HostCertificate {base_of("/", "ecdsa")}-cert.pub')
        self.hostkeys('--install-sshd-config', status=0)
        authority = SoftKey(self.lab, self.lab.path('authority'))
        self.lab.write('root/etc/hosts', '192.0.2.1 Alpha.example.com alpha # here\n192.0.2.2 beta.example.com beta\n')
        script = 'hostname ALPHA && exec "$@"'
        for name, status in ('alpha', 0), ('alpha.example.com', 0), ('beta', 3), ('alpha.example', 3), ('alpha.de', 0):
            with self.subTest(name):
                if name == 'alpha.de':
                    self.lab.write('root/etc/hosts', '192.0.2.1 alpha\n')  # its domain is in the DNS alone
                self.lab.ssh_keygen('-q', '-s', authority.path, '-h', '-I', 'x', '-n', name,
                                    base_of(self.root, 'ecdsa') + '.pub')
                printed = self.run_there('unshare', '--uts', 'sh', '-c', script, 'sh', PROGRAMS + '/ssh-tpm',
                                         'hostkeys', '--check', status=status).stdout
                self.assertIn(f'none of its principals ({name}) is a name of this host (alpha,alpha.example.com)\n'
                              if status else f'for {name}, valid without end; ', printed)

    def test_a_certificate_that_clients_refuse_does_not_keep_the_keys_from_being_installed(self):
        """Clients that know the key itself log in."""
        self.make_keys()
        self.start_agent()
        authority = SoftKey(self.lab, self.lab.path('authority'))
        self.lab.ssh_keygen('-q', '-s', authority.path, '-h', '-I', 'x', '-n', 'x', '-V', '-2d:-1d',
                            base_of(self.root, 'ecdsa') + '.pub')
        self.config(f'HostCertificate {base_of("/", "ecdsa")}-cert.pub')
        self.hostkeys('--install-sshd-config', status=0)
        self.assertIn('ecdsa_key-cert.pub: expired at ', self.hostkeys('--check', status=1).stdout)

    def test_a_sshd_that_has_not_read_its_configuration_is_found(self):
        self.make_keys()
        self.start_agent()
        self.config(f'ListenAddress 127.0.0.1:{free_port()}')
        self.hostkeys('--install-sshd-config', status=0)
        script = '''check() { "$1" hostkeys --check | grep -c 'written after the running sshd'; }
/usr/sbin/sshd; until [ -s /run/sshd.pid ]; do sleep 0.1; done; check "$1"
sleep 0.1; touch "$2"; check "$1"
kill -HUP $(cat /run/sshd.pid); until [ -s /run/sshd.pid ] && [ /run/sshd.pid -nt "$2" ]; do sleep 0.1; done
check "$1"; kill $(cat /run/sshd.pid)
'''
        result = self.run_there('sh', '-c', script, 'sh', PROGRAMS + '/ssh-tpm',
                                '/etc/ssh/sshd_config.d/70-ssh-tpm.conf', status=0)
        self.assertEqual(result.stdout, '0\n1\n0\n', result.stderr)

    def test_keys_that_clients_know_and_see_no_more_are_named(self):
        self.make_keys()
        self.start_agent()
        for kind in 'ecdsa', 'ed25519':
            SoftKey(self.lab, os.path.join(self.etc, f'ssh/ssh_host_{kind}_key'), kind)
        result = self.hostkeys('--install-sshd-config', status=0, env=sshd_of_version(self.lab, '9.2'))
        self.assertIn('warning: sshd no longer uses /etc/ssh/ssh_host_ecdsa_key,/etc/ssh/ssh_host_ed25519_key: ',
                      result.stderr)
        self.assertNotIn('UpdateHostKeys', result.stderr)
        self.assertTrue(result.stdout.endswith('service sshd): systemctl reload ssh\n'), result.stdout)
        hint = result.stderr.replace('\n        ', ' ')
        command = re.search('new ones: (printf .*80-old-keys.conf); then run this command again', hint)[1]
        self.run_there('sh', '-c', command, status=0)
        self.assertEqual(read(self.etc + '/ssh/sshd_config.d/80-old-keys.conf'),
                         'HostKey /etc/ssh/ssh_host_ed25519_key\n')
        for version, is_warned in ('9.2', True), ('10.0', False):
            result = self.hostkeys('--install-sshd-config', status=0, env=sshd_of_version(self.lab, version))
            self.assertEqual(result.stderr.count('UpdateHostKeys'), is_warned)
            self.assertNotIn('no longer uses', result.stderr)
        # The hint of 9.2.
        old = sshd_of_version(self.lab, '9.2')
        os.rename(base_of(self.root, 'ecdsa') + '.pub', self.lab.path('moved'))
        result = self.hostkeys('--install-sshd-config', status=0, env=old)
        self.assertNotIn('UpdateHostKeys', result.stderr)
        self.assertNotIn('UpdateHostKeys', self.hostkeys('--check', env=old).stdout)
        # Clients that know the RSA key learn a new one.
        os.unlink(self.etc + '/ssh/sshd_config.d/80-old-keys.conf')
        os.rename(self.lab.path('moved'), base_of(self.root, 'ecdsa') + '.pub')
        result = self.hostkeys('--install-sshd-config', status=0, env=old)
        self.assertIn('UpdateHostKeys', result.stderr)

    # The agent's, with a key beside those of the TPM for which sshd -t is content

    def test_no_agent_is_not_enough(self):
        self.config(self.plain_key())
        self.make_keys()
        self.assert_refused('an agent that does not answer', f'systemctl enable --now {UNITS} first')

    def test_an_agent_that_hangs_or_drips_is_not_waited_for_for_ever(self):
        limit = self.lab.limit('host_agent', 0.5, 5)
        self.make_keys()
        self.socket = self.lab.path('hangs')
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen()
            self.assert_refused('the agent does not answer', deadline=DEADLINE + limit)
            thread = threading.Thread(target=drip, args=(listener, limit / 5))
            thread.start()
            self.assert_refused('the agent does not answer', deadline=DEADLINE + limit)
            thread.join()

    def test_an_agent_without_keys_is_not_enough(self):
        self.make_keys()
        self.start_agent(key_dir=self.lab.make_folder('empty'))
        result = self.assert_refused('signs with none of these host keys')
        self.assertEqual(result.stderr.count('the agent does not serve this key'), len(KINDS))
        self.assert_refused('signs with none', options=('--install-sshd-config', '--force'))

    def test_keys_of_a_hierarchy_are_not_those_of_the_agent_for_files(self):
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'owner')
        self.start_agent()
        self.assert_refused('signs with none of these host keys', 'give --hierarchy too')

    def test_a_tpm_that_was_cleared_is_found(self):
        self.make_keys()
        self.tpm.tool('tpm2_clear')
        self.start_agent()
        result = self.assert_refused('signs with none of these host keys')
        self.assertNotIn('does not serve', result.stderr)

    def test_one_key_is_enough(self):
        """A TPM may have no RSA."""
        self.make_keys()
        for ending in '.tpm', '.pub':
            os.unlink(base_of(self.root, 'rsa') + ending)
        self.start_agent()
        result = self.hostkeys('--install-sshd-config', status=0)
        self.assertEqual(result.stderr, '')
        self.assertEqual(read(self.drop_in()).splitlines()[3:-1],
                         [f'HostKey {base_of("/", "ecdsa")}', f'# There was no {base_of("/", "rsa")}.pub.'])
        self.assertEqual(self.hostkeys('--check').returncode, 0)
        self.make_keys()
        self.assertIn('wrote ', self.hostkeys('--install-sshd-config', status=0).stdout)
        self.assertEqual(read(self.drop_in()).splitlines()[3:-1], [f'HostKey {base_of("/", kind)}' for kind in KINDS])

    # At the same time

    def test_a_signal_waits_until_all_is_done_or_taken_back(self):
        self.make_keys()
        self.start_agent()
        tools = self.lab.make_folder('tools')
        for options in ('--install-sshd-config',), ('--uninstall',):
            for name, status in ('INT', 1), ('HUP', 1), ('TERM', 1), ('ALRM', 1), ('TERM', 0), ('INT', 0):
                with self.subTest(options=options, signal=name, status=status):
                    if options == ('--uninstall',):
                        self.hostkeys('--install-sshd-config', status=0)
                    # To the whole group, as a terminal does.
                    self.lab.write('tools/sshd', f'#!/bin/sh\nkill -s {name} -- -$PPID\nexit {status}\n', mode=0o755)
                    before = contents(self.etc)
                    result = self.hostkeys(*options, env={'PATH': tools + ':' + self.lab.env['PATH']})
                    self.assertEqual(result.returncode, -signal.Signals['SIG' + name], result.stderr)
                    after = contents(self.etc)
                    if status == 1 or options != ('--uninstall',):  # sshd -T has no HostKeyAgent
                        self.assertEqual(after, before)
                    else:
                        self.assertEqual(set(before) - set(after), {self.drop_in()})
                        self.assertEqual(set(after) - set(before), set())
                        self.assertIn('removed ', result.stdout)

    def test_several_at_once_leave_what_was_there(self):
        self.make_keys()
        drop_in = self.lab.write('root/etc/ssh/sshd_config.d/70-ssh-tpm.conf', '# mine\n')
        self.lab.make_folder('tools')
        self.lab.write('tools/sshd', '#!/bin/sh\nexit 1\n', mode=0o755)
        each = f'{PROGRAMS}/ssh-tpm hostkeys --install-sshd-config --force'
        self.run_there('sh', '-c', 'for i in 1 2 3 4; do ' + each + ' & done; wait', status=0,
                       env={'PATH': self.lab.path('tools') + ':' + self.lab.env['PATH']})
        self.assertEqual(os.listdir(os.path.dirname(drop_in)), [os.path.basename(drop_in)])
        self.assertEqual(read(drop_in), '# mine\n')

    def test_a_folder_that_another_program_makes_is_there(self):
        self.hostkeys('--install-system-units', fault='mkdir_race', status=0)
        self.assertTrue(os.path.exists(self.etc + '/sysusers.d/ssh-tpm.conf'))

    # In one call

    def test_units_stay_when_sshd_waits_for_their_agent(self):
        """On a stock system, where /etc has no sysusers.d."""
        both = ('--install-system-units', '--install-sshd-config')
        result = self.hostkeys(*both)
        self.assert_problem(result, 'sshd -t refuses', f'systemctl enable --now {UNITS} first')
        self.assertIn('To start: ', result.stdout)
        self.assertFalse(os.path.exists(self.drop_in()))
        self.assertTrue(os.path.exists(self.etc + '/systemd/system/ssh-tpm-hostkeys.service'))
        self.assertEqual(mode(self.etc + '/sysusers.d'), 0o755)
        self.assertIn('wrote /etc/sysusers.d/ssh-tpm.conf', result.stdout)
        self.make_keys()
        self.start_agent()
        before = contents(self.etc)
        result = self.hostkeys(*both, status=0)
        self.assertEqual([line for line in result.stdout.splitlines() if line.startswith('wrote ')],
                         ['wrote /etc/ssh/sshd_config.d/70-ssh-tpm.conf'])
        self.assertEqual(set(contents(self.etc)) - set(before), {self.drop_in()})

    # The program

    def test_a_program_that_is_not_in_the_tree_is_warned_of(self):
        tree = self.lab.make_folder('tree')
        missing = f'warning: {tree}{PROGRAMS}/ssh-tpm: the program is not in this tree'
        result = self.hostkeys('--install-system-units', env={'DESTDIR': tree}, status=0)
        self.assertIn(missing, result.stderr)
        self.assertIn('hint: install it there, too (meson install --destdir)', result.stderr)
        os.makedirs(tree + PROGRAMS)
        link_program(tree + PROGRAMS + '/ssh-tpm')
        self.assertNotIn(missing, self.hostkeys('--install-system-units', env={'DESTDIR': tree}, status=0).stderr)

    def test_a_program_that_others_may_write_is_refused(self):
        os.chmod(self.lab.program_for_others(), 0o777)
        self.assert_refused(PROGRAMS, 'may be written by others', options=('--install-system-units',))

    # The way back

    def install_all(self):
        self.make_keys()
        self.start_agent()
        self.hostkeys('--install-system-units', '--install-sshd-config', status=0)

    def test_uninstalling_is_refused_where_sshd_has_no_other_host_key(self):
        self.install_all()
        self.assert_refused('sshd -t refuses', 'ssh-keygen -A', '--force', options=('--uninstall',))
        self.hostkeys('--check', status=0)
        result = self.hostkeys('--uninstall', '--force', status=0)
        self.assertIn('ssh-tpm-hostkeys: warning: ', result.stderr)
        self.assertFalse(os.path.exists(self.drop_in()))

    def test_uninstalling_is_refused_while_sshd_names_an_agent_of_the_units_elsewhere(self):
        self.make_keys()
        self.start_agent()
        self.hostkeys('--install-system-units', status=0)
        self.config('HostKeyAgent /run/ssh-tpm-agent/agent.sock', 'HostKey /etc/ssh/ssh_tpm_host_ecdsa_key')
        self.assert_refused('sshd needs the agent', '/etc/ssh/sshd_config line 2', '--force', options=('--uninstall',))
        shutil.rmtree(self.etc + '/systemd/system')  # as if the units were a package's
        os.mkdir(self.etc + '/systemd/system')
        self.assert_refused('sshd needs the agent', options=('--uninstall',))
        self.assertIn('warning: ', self.hostkeys('--uninstall', '--force', status=0).stderr)

    def test_uninstalling_leaves_sshd_with_its_keys_in_files(self):
        before = contents(self.etc)
        self.install_all()
        self.plain_key('ssh_host_ecdsa_key')  # where sshd looks for one
        result = self.hostkeys('--uninstall', status=0)
        self.assertEqual(result.stderr, '')
        self.assertIn('systemctl stop ssh-tpm-attest.service ssh-tpm-attest.socket ssh-tpm-genkeys.service ',
                      result.stdout)
        keys = {path for path in contents(self.etc) if os.path.basename(path).startswith('ssh_')}
        left = {path for path in set(contents(self.etc)) - set(before) - keys if os.path.isfile(path)}
        self.assertEqual(left, set())
        self.assertEqual(self.hostkeys('--uninstall', status=0).stdout, '')

    def test_uninstalling_disables_the_units_and_tells_which_to_stop(self):
        self.install_all()
        tree = ('systemctl', '--root=' + self.root)
        enabled = [f'ssh-tpm-{name}' for name in ('attest.socket', 'genkeys.service', 'hostkeys.socket',
                                                  'genkeys@endorsement.service', 'hostkeys@endorsement.socket')]
        self.lab.run(*tree, 'enable', *enabled, status=0)
        links = {path for path in contents(self.etc) if '.wants/' in path}
        self.assertEqual({os.path.basename(path) for path in links}, set(enabled))
        relative = os.path.join(self.etc, 'systemd/system/sockets.target.wants/ssh-tpm-hostkeys@null.socket')
        os.symlink('../ssh-tpm-hostkeys@.socket', relative)
        required = os.path.join(self.etc, 'systemd/system/ssh.service.requires/ssh-tpm-hostkeys.socket')
        os.mkdir(os.path.dirname(required))
        os.symlink('/etc/systemd/system/ssh-tpm-hostkeys.socket', required)
        other = os.path.join(self.etc, 'systemd/system/multi-user.target.wants/ssh-tpm-hostkeys.socket')
        os.symlink('/usr/lib/systemd/system/ssh-tpm-hostkeys.socket', other)
        self.assert_refused('sshd -t refuses', options=('--uninstall',))
        self.config(self.plain_key())
        printed = self.hostkeys('--uninstall', status=0).stdout
        self.assertEqual({path for path in (*links, relative, required, other) if os.path.lexists(path)}, {other})
        self.assertIn('removed /etc/systemd/system/sockets.target.wants/ssh-tpm-hostkeys@null.socket\n', printed)
        command = re.search('systemctl stop ([^;]*);', printed)[1].split()
        self.assertEqual(set(command), {f'ssh-tpm-{name}' for name in (
            'attest.socket', 'attest.service', 'genkeys.service', 'genkeys@endorsement.service', 'hostkeys.socket',
            'hostkeys.service', 'hostkeys@endorsement.socket', 'hostkeys@endorsement.service',
            'hostkeys@null.socket', 'hostkeys@null.service')})

    def test_uninstalling_in_a_tree_disables_the_units_there(self):
        environment = {'DESTDIR': self.root}
        self.hostkeys('--install-system-units', '--force', env=environment, status=0)
        self.lab.run('systemctl', '--root=' + self.root, 'enable', 'ssh-tpm-hostkeys.socket', status=0)
        link = os.path.join(self.etc, 'systemd/system/sockets.target.wants/ssh-tpm-hostkeys.socket')
        self.assertTrue(os.path.islink(link))
        result = self.hostkeys('--uninstall', env=environment, status=0)
        self.assertFalse(os.path.lexists(link))
        self.assertNotIn('systemctl', result.stdout)

    def test_uninstalling_needs_no_sshd(self):
        self.install_all()
        script = 'mount --bind /dev/null /usr/sbin/sshd && exec "$@"'
        result = self.run_there('sh', '-c', script, 'sh', PROGRAMS + '/ssh-tpm', 'hostkeys', '--uninstall', status=0)
        self.assertEqual(result.stderr, '')
        self.assertFalse(os.path.exists(self.drop_in()))


if __name__ == '__main__':
    unittest.main()
