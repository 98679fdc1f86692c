#!/usr/bin/env python3
"""ssh-tpm-add -h and -H send the constraints, byte for byte, that ssh-add sends."""

import os
import unittest

from add_recorder import AddScenario, Recorder
from protocol import string, take_string
from swtpm import Swtpm


def constraints_of_ssh_add(request):
    """What follows an Ed25519 key in ADD_ID_CONSTRAINED: type, two halves, comment."""
    if request[0] != 25:
        raise AssertionError(f'ssh-add sent {request[0]}')
    rest = request[1:]
    for _ in range(4):
        _, rest = take_string(rest)
    return rest


class Destinations(AddScenario):
    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.recorder = Recorder(self.lab)
        self.socket = self.recorder.path
        self.key, self.soft = self.lab.make_key('x'), self.soft_key('soft')
        self.hosts = {}
        lines = []
        for name in ('gateway', 'inner', '[inner]:2222', 'ca.example', 'gone'):
            path = self.soft_key('host-' + name.strip('[]').replace(']', ''))
            with open(path + '.pub', encoding='utf-8') as file:
                self.hosts[name] = ' '.join(file.read().split()[:2])
            marker = {'ca.example': '@cert-authority *.', 'gone': '@revoked '}.get(name, '')
            lines.append(f'{marker}{name} {self.hosts[name]}\n')
        lines.append(f'gateway,second {self.hosts["inner"]}\n')
        self.known = self.lab.write('known', '# a comment\n\nbroken\n' + ''.join(lines))

    def compare(self, *options):
        """Gives the agent a key with each tool; returns the constraints, which must be the same."""
        self.add(*options, self.key.tpm, status=0)
        self.ssh_add(*options, self.soft, status=0)
        ours = self.recorder.added()[-1][2]
        self.assertEqual(ours, constraints_of_ssh_add(self.recorder.requests[-1]))
        return ours

    def refused_by_both(self, *options, status=1):
        before = len(self.recorder.requests)
        result = self.add(*options, self.key.tpm)
        self.assertNotEqual(self.ssh_add(*options, self.soft).returncode, 0)
        self.assertEqual(len(self.recorder.requests), before, 'nothing is sent')
        self.assert_refused(result, status=status)
        return result

    def test_hosts_users_and_hops(self):
        for destinations in (('gateway',), ('me@gateway',), ('gateway>inner',),
                             ('gateway>me@inner',), ('gateway', 'gateway>inner', 'me@second'),
                             ('[inner]:2222',), ('me@[inner]:2222',), ('a.ca.example',),
                             ('gateway', 'gateway')):
            with self.subTest(destinations=destinations):
                options = [word for each in destinations for word in ('-h', each)]
                self.assertIn(b'restrict-destination-v00@openssh.com',
                              self.compare('-H', self.known, *options))

    def test_users_with_an_at_sign_and_hosts_in_brackets_as_later_releases_of_ssh_add_have_them(self):
        for text, user, host in (('me@x@gateway', b'me@x', b'gateway'), ('[gateway]', b'', b'gateway')):
            self.add('-H', self.known, '-h', text, self.key.tpm, status=0)
            self.assertIn(string(user) + string(host), self.recorder.added()[-1][2])

    def test_all_keys_of_a_host_are_sent(self):
        sent = self.compare('-H', self.known, '-h', 'gateway')
        self.assertEqual(sent.count(b'ssh-ed25519'), 2)

    def test_other_constraints_go_along(self):
        self.assertEqual(self.compare('-H', self.known, '-h', 'gateway', '-c', '-t', '60')[:6],
                         b'\x01\x00\x00\x00\x3c\x02')

    def test_several_files_and_hashed_names(self):
        hashed = self.lab.write('hashed', f'inner {self.hosts["gateway"]}\n')
        self.lab.run('ssh-keygen', '-H', '-f', hashed, status=0)
        sent = self.compare('-H', self.known, '-H', hashed, '-h', 'inner')
        self.assertEqual(sent.count(b'ssh-ed25519'), 2)

    def test_the_usual_files_without_an_option(self):
        folder = self.lab.make_folder('home', '.ssh')
        for name, host in (('known_hosts', 'gateway'), ('known_hosts2', 'inner')):
            self.lab.write(f'home/.ssh/{name}', f'usual-{host}.test {self.hosts[host]}\n')
        for host in ('gateway', 'inner'):
            self.add('-h', f'usual-{host}.test', self.key.tpm, status=0)
            self.assertEqual(self.recorder.added()[-1][2].count(b'ssh-ed25519'), 1)
        self.add('-H', '~/.ssh/known_hosts2', '-h', 'usual-inner.test', self.key.tpm, status=0)
        self.assert_refused(self.add('-H', os.path.join(folder, 'known_hosts2'), '-h', 'usual-gateway.test',
                                     self.key.tpm), 'usual-gateway.test')

    def test_a_host_that_nobody_knows_is_refused(self):
        for destination in ('unknown', 'unknown>gateway', 'gateway>unknown', 'gone'):
            result = self.refused_by_both('-H', self.known, '-h', destination)
            self.assertIn('No host keys found for destination', result.stderr)
            self.assertIn(self.known, result.stderr)
        self.refused_by_both('-H', self.lab.path('absent'), '-h', 'gateway')

    def test_what_is_no_destination_is_refused(self):
        for destination in ('me@gateway>inner', '>inner', 'gateway>', ''):
            with self.subTest(destination=destination):
                self.refused_by_both('-H', self.known, '-h', destination, status=2)

    def test_a_destination_that_agents_refuse_is_refused_here(self):
        for destination in ('me@', 'gateway>me@', 'x' * 257 + '@gateway'):
            result = self.add('-H', self.known, '-h', destination, self.key.tpm)
            self.assert_refused(result, '-h', status=2)
        self.assertEqual(self.recorder.requests, [])

    def test_one_bad_destination_adds_nothing(self):
        self.refused_by_both('-H', self.known, '-h', 'gateway', '-h', 'unknown')


if __name__ == '__main__':
    unittest.main()
