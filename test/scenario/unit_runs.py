#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The programs as their units run them: the key generation as root without capabilities, the host keys' agent and the
service that answers checks as users that are not root, a person's agent with a socket that was made beforehand."""

import base64
import grp
import json
import os
import re
import shlex
import signal
import unittest

from agent import Agent, ours
from hierarchy import KINDS, base_of, read_public
from keys_once import KeysOnce
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, WITH_MOUNTS, Scenario, mode, needs_root, read, wait_until
from manager import Activated, Manager, Unit, load_credentials
from stock import HostKeyStock
from swtpm import Swtpm

UNIT = 'etc/systemd/system/ssh-tpm-genkeys.service'
HIERARCHY_UNIT = 'etc/systemd/system/ssh-tpm-genkeys@.service'
STAND_IN = 64123  # for a group that this machine lacks


def id_of(group):
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return STAND_IN


def install_units(lab, root):
    lab.run(lab.program_in(root), 'hostkeys', '--install-system-units', env={'DESTDIR': root}, status=0)


@ours
class Priorities(Scenario):
    """Under systemd, JOURNAL_STREAM names the file that stderr is."""

    def log_of(self, *argv, env, redirected=False):
        path = self.lab.write('journal', '')
        status = os.stat(path)
        env = {**env, 'JOURNAL_STREAM': f'{status.st_dev}:{status.st_ino}'}
        target = self.lab.path('elsewhere') if redirected else path
        self.lab.run('sh', '-c', 'exec "$@" 2>"$0"', target, *argv, env=env)
        return read(target).splitlines()

    def test_each_line_has_one_where_stderr_is_the_journal_and_none_elsewhere(self):
        self.lab.write('keys/broken.tpm', 'broken')
        keygen = f'{self.lab.bin}/ssh-tpm-keygen', '-A', '-f', self.lab.make_folder('root')
        agent = f'{self.lab.bin}/ssh-tpm-agent', '-d', '-l', self.lab.path('x'), '--key-dir', self.lab.keys, 'true'
        Swtpm(self.lab)
        for argv, env, words in ((keygen, self.lab.no_tpm, ('<3>.*error: ', '<3>.*hint: ')),
                                 (agent, {}, ('<3>.*broken.tpm.*skipped', '<6>.*listening on'))):
            lines = self.log_of(*argv, env=env)
            for line in lines:
                self.assertRegex(line, '^<[3467]>[^<]')
            for word in words:
                self.assertTrue(any(re.match(word, line) for line in lines), lines)
            lines = self.log_of(*argv, env=env, redirected=True)
            self.assertGreater(len(lines), 0)
            for line in lines:
                self.assertNotRegex(line, '<[0-9]>')


@needs_root
class GenkeysUnit(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):  # as /dev/tpmrm0
            os.chown(path, NOBODY, id_of('tss'))
            os.chmod(path, 0o660)
        self.root = self.lab.make_folder('root')
        install_units(self.lab, self.root)
        self.prefix = self.lab.make_folder('prefix')
        self.etc_ssh = self.lab.make_folder('prefix', 'etc/ssh')
        self.known = os.path.join(self.etc_ssh, 'ssh_tpm_known_tpms')

    def run_unit(self, unit):
        """Its command, with what systemd would give it; the folder of the lab lies in the place of /etc/ssh."""
        groups = [str(id_of(group)) for line in unit.all('SupplementaryGroups') for group in line.split()]
        program, *words = unit.command()
        env = {**dict.fromkeys(('HOME', 'USER', 'XDG_RUNTIME_DIR')), **NO_LEAK_CHECK, **unit.environment()}
        return self.lab.run(*WITH_MOUNTS, 'mount --bind "$0" /etc/ssh && exec "$@"', self.etc_ssh,
                            'setpriv', '--groups=' + ','.join(groups) if groups else '--clear-groups',
                            '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', self.root + program, *words,
                            env=env, umask=int(unit.one('UMask'), 8))

    def test_the_keys_are_made_and_the_tpm_is_remembered(self):
        unit = Unit(os.path.join(self.root, UNIT))
        self.assertEqual(unit.all('CapabilityBoundingSet'), [''])
        result = self.run_unit(unit)
        self.assertEqual(result.returncode, 0, result.stderr)
        for kind in KINDS:
            base = base_of(self.prefix, kind)
            self.assertEqual((mode(base + '.tpm'), mode(base + '.pub')), (0o600, 0o644))
            self.assertEqual(self.lab.keygen('-y', '-f', base + '.tpm').stdout, read(base + '.pub'))
            self.assertEqual((os.stat(base + '.tpm').st_uid, os.stat(base + '.tpm').st_gid), (0, 0))
        self.tpm.assert_no_handles()
        self.assertNotIn('not remembered', result.stderr)
        self.assertRegex(read(self.known), '^owner-ecc [^\n]+\n$')
        self.assertEqual((mode(self.known), os.stat(self.known).st_uid), (0o644, 0))
        self.assert_another_tpm_is_refused(unit)

    def assert_another_tpm_is_refused(self, unit):
        for name in os.listdir(self.etc_ssh):
            if name.startswith('ssh_tpm_host_'):
                os.unlink(os.path.join(self.etc_ssh, name))
        before = os.listdir(self.etc_ssh)
        self.tpm.tool('tpm2_clear')
        self.assert_error(self.run_unit(unit), 'the TPM was cleared or replaced', 'ssh-tpm hostkeys --renew')
        self.assertEqual(os.listdir(self.etc_ssh), before)

    def test_the_public_keys_of_a_hierarchy_are_written(self):
        unit = Unit(os.path.join(self.root, HIERARCHY_UNIT), 'endorsement')
        result = self.run_unit(unit)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sorted(os.listdir(self.etc_ssh)), [f'ssh_tpm_host_{kind}_key.pub' for kind in KINDS])
        self.lab.keygen('-q', '-A', '-f', self.lab.path('again'), '--hierarchy', 'endorsement', '-t', 'ecdsa')
        self.assertEqual(read_public(self.lab.path('again'), 'ecdsa').line, read_public(self.prefix, 'ecdsa').line)
        self.tpm.assert_no_handles()
        env = {'SSH_TPM_TCTI': self.lab.no_tpm['SSH_TPM_TCTI']}  # at the next boot the TPM is not needed
        self.lab.env.update(env)
        self.assertEqual(self.run_unit(unit).stderr, '')

    def test_without_the_group_there_is_no_tpm(self):
        """So that the sentence above can fail."""
        path = os.path.join(self.root, UNIT)
        self.lab.write('root/' + UNIT, re.sub('(?m)^SupplementaryGroups=.*\n', '', read(path)))
        self.assert_error(self.run_unit(Unit(path)), 'hint: ')
        self.assertEqual(os.listdir(self.etc_ssh), [])


@ours
@needs_root
class HostAgentUnit(HostKeyStock):
    FOLDERS = ('root', 'state')

    def setUp(self):
        super().setUp()
        self.tpm.open_to_all()
        self.root = self.lab.path('root')
        install_units(self.lab, self.root)
        self.manager = Manager(self.lab.path('notify'))
        os.chmod(self.lab.path('notify'), 0o666)
        self.addCleanup(self.manager.close)

    def unit(self, name, instance=''):
        return Unit(f'{self.root}/etc/systemd/system/{name}', instance)

    def start(self, unit):
        """The service of a unit, with what systemd would give it."""
        credentials = self.lab.make_folder('credentials')
        load_credentials(unit, self.root, credentials, NOBODY)
        env = {'PATH': self.lab.env['PATH'], 'SSH_TPM_TCTI': self.tpm.tcti, 'CREDENTIALS_DIRECTORY': credentials,
               'NOTIFY_SOCKET': self.lab.path('notify'),
               'WATCHDOG_USEC': str(int(unit.one('WatchdogSec')) * 1000000), **unit.environment()}
        env['SSH_TPM_KNOWN_TPMS'] = self.root + env['SSH_TPM_KNOWN_TPMS']
        program, *words = unit.command(d=credentials)
        self.agent = Activated(self.lab, self.root + program, *words, as_nobody=True,
                               env={**dict.fromkeys(self.lab.env), **env})

    def assert_serves(self, *kinds, at_start=None):
        """`at_start` is the number of keys that it has before the TPM has made the others."""
        keys = [read_public(self.root, kind) for kind in kinds]
        wait_until(lambda: len(self.agent.listed()) == len(keys), 'the keys in the list')
        self.assertEqual([line.split()[:2] for line in self.agent.listed()], [key.line.split()[:2] for key in keys])
        for key in keys:
            self.agent.sign_and_check(key)
        status = f'STATUS=Serving {len(keys)} key{"s" if len(keys) > 1 else ""}'
        if at_start is None:
            self.manager.wait_for('READY=1\n' + status)
        else:
            self.manager.wait_for(f'READY=1\nSTATUS=Serving {at_start} keys')
            self.manager.wait_for(status)
        status = read(f'/proc/{self.agent.process.pid}/status')
        self.assertRegex(status, rf'(?m)^Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}')
        self.assertRegex(status, r'(?m)^CapEff:\t0+$')
        for word in ('error', 'not remembered'):
            self.assertNotIn(word, self.agent.log())

    def stop(self):
        self.agent.process.popen.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.process.wait(), 0, self.agent.log())
        self.manager.wait_for('STOPPING=1\nSTATUS=Ending')
        self.tpm.assert_no_handles()

    def test_keys_in_files_that_are_roots_alone(self):
        self.start(self.unit('ssh-tpm-hostkeys.service'))
        self.assert_serves(*KINDS)
        refused = self.agent.ssh_add('-L', **AS_NOBODY)  # nobody but root reaches the socket
        self.assertEqual((refused.returncode, refused.stdout), (2, ''))
        self.stop()

    def test_one_key_alone_is_served_when_the_tpm_made_one_alone(self):
        os.unlink(base_of(self.root, 'rsa') + '.tpm')
        self.start(self.unit('ssh-tpm-hostkeys.service'))
        self.assert_serves('ecdsa')
        self.stop()

    def test_keys_of_a_hierarchy(self):
        for kind in KINDS:
            for ending in '.tpm', '.pub':
                os.unlink(base_of(self.root, kind) + ending)
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'endorsement')
        self.start(self.unit('ssh-tpm-hostkeys@.service', 'endorsement'))
        self.assert_serves(*KINDS, at_start=0)
        self.stop()


@needs_root
class AttestUnit(HostKeyStock):
    FOLDERS = ('root', 'state')
    LOG = 'root/sys/kernel/security/tpm0/binary_bios_measurements'

    def setUp(self):
        super().setUp()
        self.tpm.open_to_all()
        self.root = self.lab.path('root')
        install_units(self.lab, self.root)
        self.unit = Unit(f'{self.root}/etc/systemd/system/ssh-tpm-attest.service')

    def start(self, name):
        """The service, with what systemd would give it."""
        credentials = self.lab.make_folder('credentials of ' + name)
        load_credentials(self.unit, self.root, credentials, NOBODY)
        program, *words = self.unit.command(d=shlex.quote(credentials))
        env = {'PATH': self.lab.env['PATH'], 'SSH_TPM_TCTI': self.tpm.tcti, **self.unit.environment()}
        env['SSH_TPM_KNOWN_TPMS'] = self.root + env['SSH_TPM_KNOWN_TPMS']
        self.program = self.root + program
        service = Activated(self.lab, self.program, *words, as_nobody=True, name=name,
                            env={**dict.fromkeys(self.lab.env), **env})
        os.chmod(service.socket, 0o666)  # as its socket unit says
        return service

    def ask(self, service):
        """As sshd's subsystem, for a user who is not root."""
        question = f'ssh-tpm-attest-1 {base64.b64encode(os.urandom(32)).decode()} sha256:0,1,2\n'
        result = self.lab.run(self.program, 'attest', 'serve', '--socket', service.socket, stdin=question, **AS_NOBODY)
        self.assertEqual(result.returncode, 0, result.stderr + service.log())
        answer = json.loads(result.stdout)
        self.assertEqual((answer['format'], len(answer['pcrs'])), ('ssh-tpm-attested-1', 3))
        return [key['ssh'] for key in answer['keys']], base64.b64decode(answer['eventlog'])

    def test_it_answers_with_whatever_event_log_there_is_or_with_none(self):
        keys = [' '.join(read_public(self.root, kind).line.split()[:2]) for kind in KINDS]
        os.makedirs(os.path.dirname(self.lab.path(self.LOG)))
        for name, log in ('none', None), ('empty', b''), ('damaged', bytes(range(256))), ('long', bytes(1000000)):
            if log is not None:
                with open(self.lab.path(self.LOG), 'wb') as file:
                    file.write(log)
            service = self.start(name)
            found, given = self.ask(service)
            self.assertEqual(found, keys)
            self.assertEqual(given, {'none': b'\n', 'long': b''}.get(name, log))
            self.assertEqual(self.ask(service)[0], keys)  # and goes on
            service.process.end()

    def test_one_key_alone_is_attested_when_the_tpm_made_one_alone(self):
        os.unlink(base_of(self.root, 'rsa') + '.tpm')
        service = self.start('one')
        self.assertEqual(self.ask(service)[0], [' '.join(read_public(self.root, 'ecdsa').line.split()[:2])])
        service.process.end()


class SocketActivation(KeysOnce):
    KEYS = {'x': {}}

    def setUp(self):
        super().setUp()
        self.notify = self.lab.path('notify')
        self.manager = Manager(self.notify)
        self.addCleanup(self.manager.close)

    def test_the_units_command_serves_the_socket_that_it_is_given(self):
        env = {'HOME': self.lab.home}
        key = self.take('x', self.lab.make_folder('home', '.ssh'))
        self.lab.run(self.lab.bin + '/ssh-tpm', 'agent', '--install-system', status=0,
                     env={'DESTDIR': self.lab.path('root')})
        unit = Unit(self.lab.path('root/etc/systemd/user/ssh-tpm-agent.service'))
        agent = Activated(self.lab, *unit.command(), env={**env, 'NOTIFY_SOCKET': self.notify})
        self.assertEqual(agent.listed(), [key.line])
        agent.sign_and_check(key)
        self.assertEqual(self.manager.take(), 'READY=1\nSTATUS=Serving 1 key')
        agent.process.popen.send_signal(signal.SIGTERM)
        self.assertEqual(agent.process.wait(), 0, agent.log())
        self.manager.wait_for('STOPPING=1\nSTATUS=Ending')
        self.assertTrue(os.path.exists(agent.socket), 'the socket is the manager\'s')

    def test_the_manager_hears_of_keys_as_they_come_and_go(self):
        key = self.take('x')
        agent = Agent(self.lab, env={'NOTIFY_SOCKET': self.notify})
        self.assertEqual(self.manager.take(), 'READY=1\nSTATUS=Serving 1 key')
        agent.ssh_add('-d', key.pub, status=0)
        self.assertEqual(self.manager.take(), 'STATUS=Serving 0 keys')
        agent.stop()
        self.assertEqual(self.manager.take(), 'STOPPING=1\nSTATUS=Ending')

    def test_the_watchdog_is_fed_twice_in_its_time_and_starves_when_the_loop_hangs(self):
        agent = Agent(self.lab, env={'NOTIFY_SOCKET': self.notify, 'WATCHDOG_USEC': '400000'})
        for _ in range(3):
            self.manager.wait_for('WATCHDOG=1')
        os.kill(agent.process.pid, signal.SIGSTOP)
        wait_until(lambda: ') T ' in read(f'/proc/{agent.process.pid}/stat'), 'the agent to stand still')
        self.manager.take_all()
        self.manager.patience(1)
        with self.assertRaises(TimeoutError):
            self.manager.take()
        os.kill(agent.process.pid, signal.SIGCONT)
        self.manager.patience(60)
        self.manager.wait_for('WATCHDOG=1')
        agent.stop()

    def test_an_agent_in_the_background_does_not_speak_for_who_started_it(self):
        env = {'NOTIFY_SOCKET': self.notify}
        said = self.lab.run(self.lab.bin + '/ssh-tpm-agent', '-a', self.lab.path('x.sock'), 'sh', '-c',
                            'ssh-add -l >/dev/null; echo $NOTIFY_SOCKET', env=env, status=0).stdout
        self.assertEqual(said.strip(), self.notify)  # the command may have something to say
        self.assertEqual(self.manager.take_all(), [])


if __name__ == '__main__':
    unittest.main()
