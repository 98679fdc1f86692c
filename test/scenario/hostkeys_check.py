#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys --check: its results about sshd, the agent, host keys and certificates, as lines and as JSON."""

import base64
import os
import re
import socket
import unittest

from applet_options import SOURCE
from findings import documented_checks, read_findings
from hierarchy import KINDS
from hostkeys import HostKeys
from lab import read
from softkey import SoftKey

CERTIFIED = {'ecdsa': 'ecdsa-sha2-nistp256-cert-v01@openssh.com',
             'rsa': 'rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com'}
BY = {'ecdsa': 'the agent signs with ecdsa-sha2-nistp256', 'rsa': 'the agent signs with rsa-sha2-512,rsa-sha2-256'}
UNPROTECTED = 'sshd logs UNPROTECTED PRIVATE KEY FILE at each login because of this name'
IN_A_FILE = 'in a file, not in the TPM; sshd signs with it'
MANUAL = 'ssh-tpm-hostkeys.8'
COMMENT = '# ssh-tpm: this key stays in a file'
NOT_SERVED = 'the agent does not serve this key'


class Check(HostKeys):
    def results(self, config, **more):
        """Of --check --json: what is well, as (check, subject, text), and the other objects."""
        checks = read_findings(self.check(config, '--json', **more))['checks']
        return ([(each['check'], each['subject'], each['text']) for each in checks if each['status'] == 'ok'],
                [each for each in checks if each['status'] != 'ok'])

    def assert_found(self, config, *expected, hint='', **more):
        """The problems are exactly these: (status, check, subject, text); `hint` is in the first one's."""
        _, problems = self.results(config, **more)
        self.assertEqual([tuple(each[name] for name in ('status', 'check', 'subject', 'text')) for each in problems],
                         list(expected))
        if expected:
            self.assertIn(hint, problems[0]['hint'])

    def config_of(self, agent, *lines):
        """One of sshd with these lines, behind its HostKeyAgent."""
        return '\n'.join((f'HostKeyAgent {agent.socket}', *lines))


class Keys(Check):
    """With the keys of the drop-in, in an agent, and sshd with the drop-in."""

    def setUp(self):
        super().setUp()
        self.take_keys(self.root + '/etc/ssh', '.pub')
        self.install()
        self.start_agent()
        self.good = self.drop_in().rstrip('\n')

    def plain(self, name='plain', kind='ed25519'):
        return SoftKey(self.lab, self.lab.path(name), kind)

    def where(self, line):
        """Of a line of the configuration."""
        return f'{self.lab.path("check.config")} line {line}'

    def test_all_is_well(self):
        oks, problems = self.results(self.good)
        self.assertEqual(problems, [])
        self.assertEqual(oks, [('sshd-config', '', 'sshd accepts its configuration'),
                               ('host-key-agent', '', f'HostKeyAgent is {self.agent.socket}'),
                               ('agent', self.agent.socket, 'answers, and has 2 keys'),
                               *(('host-key', self.keys[kind].path, BY[kind]) for kind in KINDS)])

    def pid_file(self, pid=None, time=0):
        """As of an sshd that has read its configuration at this time."""
        with open('/proc/self/comm', 'w', encoding='ascii') as name:
            name.write('sshd')
        path = self.lab.write('sshd.pid', f'{pid or os.getpid()}\n')
        os.utime(path, (time, time))
        return path

    def test_the_page_names_all_checks(self):
        """With a configuration in which each of them has something to say."""
        first = self.plain('first', 'ecdsa')
        authority = self.plain('authority')
        for key in self.keys.values():
            self.lab.ssh_keygen('-q', '-s', authority.path, '-h', '-I', 'x', '-n', 'x', key.pub)
        oks, problems = self.results('\n'.join((
            f'PidFile {self.pid_file()}', f'HostKey {first.path}', self.good, f'HostKey {self.keys["rsa"].pub}',
            f'HostCertificate {self.keys["rsa"].path}-cert.pub')), version='9.2')
        self.assertEqual({check for check, _, _ in oks} | {each['check'] for each in problems},
                         set(documented_checks(MANUAL)))
        self.assertIn(f'\n.Dl {COMMENT}\n', read(os.path.join(SOURCE, 'data/man', MANUAL)))

    def test_lines_have_a_hint_below_them(self):
        key = self.plain()
        result = self.check(f'{self.good}\nHostKey {key.path}')
        self.assertEqual((result.returncode, result.stderr), (3, ''))
        words = result.stdout[result.stdout.index('warn'):]
        self.assertTrue(words.startswith(f'warn  {key.path}: {IN_A_FILE}\n      hint: '), words)
        self.assertIn(COMMENT, words)

    def test_problems_of_sshd(self):
        key = self.plain()
        file = ('warn', 'host-key-in-file', key.path, IN_A_FILE)
        without_agent = re.sub('(?m)^HostKeyAgent.*$', '', self.good) + f'\nHostKey {key.path}'
        self.assert_found(without_agent, ('fail', 'host-key-agent', '', 'sshd has no HostKeyAgent'), file,
                          hint='ssh-tpm hostkeys --install-sshd-config')
        other = self.good.replace(self.agent.socket, '/elsewhere')
        line = other.splitlines().index('HostKeyAgent /elsewhere') + 1
        self.assert_found(f'{other}\nHostKey {key.path}',
                          ('fail', 'host-key-agent', '',
                           f'HostKeyAgent is /elsewhere, which {self.where(line)} sets first'), file,
                          hint='remove that line')
        oks, (problem,) = self.results(f'{self.good}\nNonsense 1')
        self.assertIn(f'sshd -T fails: {self.where(len(self.good.splitlines()) + 1)}: Bad configuration option',
                      problem['text'].replace(': line ', ' line '))
        self.assertEqual((problem['check'], [check for check, _, _ in oks]),
                         ('sshd-config', ['host-key-agent', 'agent']))
        self.assertEqual(problem['hint'], 'mend ' + self.where(len(self.good.splitlines()) + 1))
        (_, _), (problem,) = self.results(self.config_of(self.agent, 'HostKey /none'))
        self.assertEqual((problem['check'], 'ssh-tpm keygen -A' in problem['hint']), ('sshd-config', True))

    def test_a_sshd_that_hangs_is_not_waited_for(self):
        self.lab.limit('sshd', 0.5, 3)
        self.check(self.good)
        self.lab.write('tools/sshd', '#!/bin/sh\nexec sleep 600\n', mode=0o755)
        result = self.hostkeys('--check', '--json', '--socket', self.agent.socket, status=1,
                               env={'PATH': self.lab.path('tools') + ':' + self.lab.env['PATH']})
        self.assertEqual([(each['check'], each['status'], each['text']) for each in read_findings(result)['checks']],
                         [('sshd-config', 'fail', 'sshd does not answer'),
                          ('agent', 'ok', 'answers, and has 2 keys')])

    def test_an_agent_that_is_away_is_one_problem(self):
        key = self.plain()
        self.agent.stop()
        away = ('fail', 'agent', self.agent.socket, 'No such file or directory')
        self.assert_found(f'{self.good}\nHostKey {key.path}', away,
                          ('warn', 'host-key-in-file', key.path, IN_A_FILE),
                          hint='systemctl enable --now ssh-tpm-hostkeys.socket')
        _, (problem, other) = self.results(self.good)  # sshd has no host key left
        self.assertEqual((problem['check'], tuple(other[name] for name in ('status', 'check', 'subject', 'text'))),
                         ('sshd-config', away))
        self.assertIn('no hostkeys available', problem['text'])
        self.assertEqual(problem['hint'], f'start the agent with the socket {self.agent.socket}')

    def test_a_configuration_that_the_running_sshd_has_not_read(self):
        config = f'PidFile {self.pid_file()}\n{self.good}'
        text = 'written after the running sshd has read its configuration'
        publics = [key.path.removesuffix('.pub') + '.pub' for key in self.keys.values()]
        for public in publics:
            os.utime(public, (0, 0))
        self.assert_found(config, ('warn', 'sshd-reload', self.lab.path('check.config'), text),
                          hint='systemctl reload ssh')
        self.pid_file(time=2 ** 32)
        self.assert_found(config)
        for pid in 2 ** 30, 1:  # of no process, and of another one's
            self.pid_file(pid=pid)
            self.assert_found(config)
        self.lab.write('sshd.pid', '')
        self.assert_found(config)
        self.assert_found(f'PidFile {self.lab.path("none")}\n{self.good}')
        self.pid_file(time=os.stat(self.lab.path('check.config')).st_mtime + 3600)
        line = self.certify()
        path = line.split()[1]
        os.utime(path, (2 ** 32, 2 ** 32))
        for version, expected in ('9.7', ()), ('9.8', [('warn', 'sshd-reload', path, text)]):
            self.assert_found(f'{config}\n{line}', *expected, version=version)
        os.utime(path, (0, 0))
        os.utime(publics[0], (2 ** 32, 2 ** 32))
        for version, expected in ('9.7', ()), ('9.8', [('warn', 'sshd-reload', publics[0], text)]):
            self.assert_found(f'{config}\n{line}', *expected, version=version)

    def test_keys_that_clients_cannot_learn_from_this_sshd(self):
        """If they know another key already. host_key_logins has such a login."""
        config = f'{self.good}\n{COMMENT}\nHostKey {self.plain().path}'
        line = self.good.splitlines().index(f'HostKey {self.keys["ecdsa"].path}') + 1
        for version, kinds in (('8.8', KINDS), ('8.9', ['ecdsa']), ('9.2', ['ecdsa']), ('9.9', ['ecdsa']), ('10.0', ()),
                               ('10.6', ()), ('x', ())):
            with self.subTest(version):
                self.assert_found(config, *(
                    ('warn', 'host-key-learning', self.keys[kind].path,
                     f'this sshd (OpenSSH {version}) may end sessions of clients that know another host key, and learn '
                     'this one (UpdateHostKeys)') for kind in kinds),
                                  version=version, hint='put this key into the clients' if version == '8.8' else
                                  f'remove its HostKey line ({self.where(line)})')
        self.assert_found(self.good, version='9.2')
        self.assert_found(config.replace(f'HostKey {self.keys["ecdsa"].path}\n', ''), version='9.2')

    def test_keys_that_the_agent_does_not_serve(self):
        self.agent.ssh_add('-d', self.keys['rsa'].pub, status=0)
        missing = [('fail', 'host-key', self.keys[kind].path, NOT_SERVED) for kind in KINDS]
        self.assert_found(self.good, missing[1], hint='systemctl restart ssh-tpm-genkeys.service')
        self.agent.ssh_add('-D', status=0)
        self.assert_found(self.good, *missing)

    def test_a_public_half_that_is_missing(self):
        os.unlink(self.keys['rsa'].pub)
        self.assert_found(self.good, ('fail', 'host-key', self.keys['rsa'].path,
                                      f'{self.keys["rsa"].pub}: No such file or directory'),
                          hint='ssh-tpm keygen -A writes it again')
        other = self.lab.path('other')
        self.assert_found(f'{self.good}\nHostKey {other}', ('fail', 'host-key', self.keys['rsa'].path,
                                                            f'{self.keys["rsa"].pub}: No such file or directory'),
                          ('fail', 'host-key', other, f'{other}.pub: No such file or directory'))
        self.lab.write(self.keys['rsa'].pub, 'nonsense\n')
        _, (problem,) = self.results(self.good)
        self.assertRegex(problem['hint'], f'^move {self.keys["rsa"].pub} away: ssh-tpm keygen -A writes it again')
        os.unlink(self.keys['rsa'].pub)
        self.lab.keygen('-q', '-A', '-f', self.root)
        self.assert_found(self.good)

    def test_both_spellings_are_one_key_with_one_warning(self):
        both = [f'HostKey {path}' for key in self.keys.values() for path in (key.path, key.pub)]
        for lines in both, [line for line in both if line.endswith('.pub')], both[::-1]:
            with self.subTest(lines):
                oks, problems = self.results(self.config_of(self.agent, *lines))
                self.assertEqual([text for check, _, text in oks if check == 'host-key'],
                                 [BY[kind] for kind in (KINDS if lines != both[::-1] else KINDS[::-1])])
                self.assertEqual({(each['status'], each['check'], each['subject'], each['text']) for each in problems},
                                 {('warn', 'host-key-name', key.pub, UNPROTECTED) for key in self.keys.values()})
                self.assertEqual(len(problems), len(KINDS))
                line = lines.index(f'HostKey {problems[0]["subject"]}') + 2
                self.assertIn(self.where(line), problems[0]['hint'])
        self.assert_found(self.config_of(self.agent, *(both[0], both[2])))

    def test_a_key_in_a_file_that_stays_there_on_purpose(self):
        key = self.plain()
        line = f'HostKey {key.path}'
        on_purpose = ('host-key-in-file', key.path, 'in a file on purpose; sshd signs with it')
        for comment in COMMENT, f'  {COMMENT} ':
            oks, problems = self.results(f'{self.good}\n{comment}\n{line}')
            self.assertEqual((oks[-1], problems), (on_purpose, []))
        for text in (line, f'{COMMENT}\n\n{line}', f'{line}\n{COMMENT}', f'# x {COMMENT}\n{line}',
                     f'{COMMENT}s\n{line}'):
            with self.subTest(text):
                self.assert_found(f'{self.good}\n{text}', ('warn', 'host-key-in-file', key.path, IN_A_FILE),
                                  hint='remove its HostKey line')

    def test_a_key_in_a_file_that_sshd_cannot_read(self):
        key = self.plain()
        config = f'{self.good}\n{COMMENT}\nHostKey {key.path}'
        os.unlink(key.pub)  # which sshd does not need
        self.assert_found(config)
        os.chmod(key.path, 0o644)
        unreadable = ('fail', 'host-key', key.path, 'sshd cannot read this file')
        self.assert_found(config, unreadable, hint=f'chmod 600 {key.path}')
        locked = SoftKey(self.lab, self.lab.path('locked'), 'ed25519', passphrase='secret')
        self.assert_found(config.replace(key.path, locked.path), ('fail', 'host-key', locked.path, unreadable[3]))

    def test_a_key_behind_another_one_of_its_type_is_not_used(self):
        first, second = self.plain('first', 'ecdsa'), self.plain('second', 'ecdsa')
        self.assert_found(f'HostKey {first.path}\n{self.good}\n{COMMENT}\nHostKey {second.path}',
                          ('warn', 'host-key-in-file', first.path, IN_A_FILE),
                          *(('warn', 'host-key-order', path,
                             f'sshd does not use this key, but {first.path}, the first one of this type')
                            for path in (self.keys['ecdsa'].path, second.path)))

    def test_only_the_algorithms_that_sshd_offers_count(self):
        oks, problems = self.results(self.good + '\nHostKeyAlgorithms rsa-sha2-256,ecdsa-*')
        self.assertEqual(([text for check, _, text in oks if check == 'host-key'], problems),
                         ([BY['ecdsa'], 'the agent signs with rsa-sha2-256'], []))
        none = {kind: f'sshd offers no algorithm of this key ({name}), because of HostKeyAlgorithms'
                for kind, name in (('rsa', 'ssh-rsa'), ('ecdsa', 'ecdsa-sha2-nistp256'))}
        place = self.where(len(self.good.splitlines()) + 1)
        self.assert_found(self.good + '\nHostKeyAlgorithms ecdsa-sha2-nistp256',
                          ('warn', 'host-key', self.keys['rsa'].path, none['rsa']),
                          hint=f'or allow rsa-sha2-512 in HostKeyAlgorithms ({place})')
        self.assert_found(self.good + '\nHostKeyAlgorithms ssh-ed25519',
                          *(('fail', 'host-key', self.keys[kind].path, none[kind]) for kind in KINDS),
                          hint=f'allow ecdsa-sha2-nistp256 in HostKeyAlgorithms ({place})')

    def test_a_key_that_sshd_finds_too_short(self):
        self.assert_found(self.good + '\nRequiredRSASize 3072',
                          ('fail', 'host-key', self.keys['rsa'].path, 'sshd does not use this key'),
                          hint='RequiredRSASize')

    # Certificates

    def certify(self, kind='ecdsa', *options, names=None, authority=None, host=('-h',)):
        """A certificate of a key: its HostCertificate line."""
        authority = authority or self.plain('authority')
        names = ('-n', ','.join(names or [socket.gethostname().lower()])) if names != () else ()
        self.lab.ssh_keygen('-q', '-s', authority.path, *host, '-I', 'x', *names, *options, self.keys[kind].pub)
        return f'HostCertificate {self.keys[kind].path}-cert.pub'

    def test_certificates_that_clients_believe(self):
        name = socket.gethostname().lower()
        lines = self.certify('ecdsa', '-V', '-1d:20380101'), self.certify('rsa', names=['x', name])
        oks, problems = self.results('\n'.join((self.good, *lines)))
        self.assertEqual(problems, [])
        self.assertEqual(oks[-2:], [
            ('host-certificate', self.keys['ecdsa'].path + '-cert.pub',
             f'for {name}, valid until 2038-01-01T00:00:00; sshd offers {CERTIFIED["ecdsa"]}'),
            ('host-certificate', self.keys['rsa'].path + '-cert.pub',
             f'for x,{name}, valid without end; sshd offers {CERTIFIED["rsa"]}')])
        only = '\nHostKeyAlgorithms rsa-sha2-256-cert-v01@openssh.com,ecdsa-sha2-nistp256'
        oks, (problem,) = self.results('\n'.join((self.good, *lines)) + only)
        self.assertEqual([text for check, _, text in oks if check == 'host-key'],
                         [BY['ecdsa'], 'the agent signs with rsa-sha2-256'])
        self.assertEqual((problem['status'], problem['subject'], problem['text']),
                         ('warn', self.keys['ecdsa'].path + '-cert.pub',
                          'sshd offers no algorithm of this certificate, because of HostKeyAlgorithms'))

    def assert_certificate(self, status, text, line, hint='', **more):
        """A certificate of the ECDSA key; dates are D in `text`."""
        _, (problem,) = self.results(f'{self.good}\n{line}', **more)
        self.assertEqual((problem['status'], problem['check'], problem['subject']),
                         (status, 'host-certificate', self.keys['ecdsa'].path + '-cert.pub'))
        self.assertEqual(re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', 'D', problem['text']), text)
        self.assertIn(hint, problem['hint'])

    def test_certificates_that_clients_do_not_believe(self):
        own, key = socket.gethostname().lower(), self.keys['ecdsa']
        again = f'ssh-keygen -s CA -h -I ID -n {own}'
        old = SoftKey.ready_made(self.lab, self.lab.path('rsa authority'))
        for status, text, options, more in (
                ('fail', 'expired at D', ('-V', '-2d:-1d'), {}),
                ('fail', 'not valid before D', ('-V', '+1d:+60d'), {}),
                ('warn', 'expires within a week, at D', ('-V', '-1d:+6d'), {}),
                ('fail', 'it has critical options, and none is defined for hosts',
                 ('-O', 'critical:x@example.com'), {}),
                ('fail', 'signed with ssh-rsa (SHA-1), which OpenSSH refuses from 8.2 on', ('-t', 'ssh-rsa'),
                 {'authority': old}),
                ('warn', 'no principals: OpenSSH refuses it from 10.3 on, and takes it for every host before', (),
                 {'names': ()}),
                ('warn', 'its principals are patterns (*), which OpenSSH knows from 10.3 on', (), {'names': ['*']})):
            with self.subTest(text):
                line = self.certify('ecdsa', *options, **more)
                self.assert_certificate(status, text, line, again)
        line = self.certify('ecdsa', '-t', 'rsa-sha2-256', authority=old)
        self.assert_found(f'{self.good}\n{line}\nCASignatureAlgorithms ssh-ed25519')  # which is for users' alone
        self.assert_certificate('warn', 'expires within a week, at D', self.certify('ecdsa', '-V', '-1d:+167h'))
        self.assertEqual(self.results(f'{self.good}\n{self.certify("ecdsa", "-V", "-1d:+169h")}')[1], [])
        _, (problem,) = self.results(f'{self.good}\n{self.certify("ecdsa", names=["other", "third"])}')
        self.assertEqual(problem['status'], 'warn')
        self.assertRegex(problem['text'], rf'none of its principals \(other,third\) is a name of this host \({own}')
        line = self.certify(host=())
        self.assert_certificate('fail', "a user's certificate, not a host's", line, 'remove its HostCertificate line')
        certificate = self.lab.write(key.path + '-cert.pub', read(key.pub))
        self.assert_certificate('fail', 'a key, not a certificate', line)
        self.lab.write(certificate, 'nonsense\n')
        self.assertEqual(self.results(f'{self.good}\n{line}')[1][0]['status'], 'fail')
        os.unlink(certificate)
        self.assert_certificate('fail', 'No such file or directory', line,
                                f'remove its HostCertificate line ({self.where(len(self.good.splitlines()) + 1)})')

    def test_a_certificate_that_is_not_its_authoritys(self):
        line = self.certify(names=['changed-host-name'])
        path = self.keys['ecdsa'].path + '-cert.pub'
        name, blob, comment = read(path).split(' ', 2)
        forged = base64.b64decode(blob).replace(b'changed-host-name', b'forged-host-name!')
        self.lab.write(path, f'{name} {base64.b64encode(forged).decode()} {comment}')
        self.assert_certificate('fail', 'a certificate that its authority has not signed', line)

    def test_a_certificate_of_a_key_that_is_not_there_or_does_not_work(self):
        line, path = self.certify(), self.keys['ecdsa'].path
        rsa_alone = self.config_of(self.agent, f'HostKey {self.keys["rsa"].path}', line)
        self.assert_found(rsa_alone, ('fail', 'host-certificate', path + '-cert.pub',
                                      'of a key that no HostKey line names'))
        self.agent.ssh_add('-d', self.keys['ecdsa'].pub, status=0)
        self.assert_found(f'{self.good}\n{line}', ('fail', 'host-key', path, NOT_SERVED),
                          ('fail', 'host-certificate', path + '-cert.pub', f'of {path}, which does not work'))

    def test_a_certificate_that_no_line_names(self):
        self.certify()
        self.assert_found(self.good, ('warn', 'host-certificate-line', self.keys['ecdsa'].path + '-cert.pub',
                                      'sshd does not show this certificate, because no HostCertificate line names it'),
                          hint='ssh-tpm hostkeys --install-sshd-config')
        self.certify('ecdsa', '-V', '-2d:-1d')
        _, (problem,) = self.results(self.good)
        self.assertRegex(problem['text'], '^sshd does not show this certificate: expired at ')
        self.assertRegex(problem['hint'], '^ssh-keygen -s CA .*, and then ssh-tpm hostkeys --install-sshd-config$')
        self.assertEqual(problem['status'], 'warn')

    def test_a_certificate_of_a_key_that_our_file_for_sshd_does_not_name(self):
        key = self.plain()
        self.lab.ssh_keygen('-q', '-s', self.plain('authority').path, '-h', '-I', 'x', '-n', 'x', key.pub)
        self.assert_found(f'{self.good}\n{COMMENT}\nHostKey {key.path}',
                          ('warn', 'host-certificate-line', f'{key.path}-cert.pub',
                           'sshd does not show this certificate, because no HostCertificate line names it'),
                          hint=f'HostCertificate {key.path}-cert.pub')


if __name__ == '__main__':
    unittest.main()
