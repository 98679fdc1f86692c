#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An option that has no effect in a mode is refused there, before anything happens; where it has one, it is taken."""

import os
import re
import unittest

from applet_options import APPLETS, CALLS, COMMANDS, options_of
from lab import Scenario, contents

KEYGEN_USES_TPM = '(none) -p -I -A --supported'
AGENTS = '(none) COMMAND'

# For each applet, or command of one, its modes, as words of a command line, and for each option a value and the modes
# where it has an effect: '*' is all of them, and a mode's own option goes with no other.
VERIFYING = {'--ek-roots': ('absent', '*'), '--ek-known': ('absent', '*'), '--allow-no-eku': (None, '*'),
             '--nonce': ('x', '*'), '--max-age': ('5', '*')}
USING_TPM = {'--tcti': ('x:', '*'), '--swtpm': (None, '*')}
CHECKING = ({'(none)': ('-F', 'none', '-o', 'ProxyCommand=false', 'host')},
            {'--pcrs': ('0', '*'), '--enrolled': ('absent', '*'), '--accept': (None, '*'), '--yes': (None, '*')})
TABLE = {
    'keygen': (
        {'(none)': (), '-p': (), '-c': (), '-l': (), '-y': (), '--print-pubkey': ('absent',), '-I': ('absent',),
         '--wrap': ('absent',), '-A': (), '--supported': ()},
        {'-t': ('ecdsa', '(none) -p -c -l -y -A'), '-b': ('256', '(none) -A'), '-C': ('x', '(none) -c -I --wrap -A'),
         '-f': ('absent', '(none) -p -c -l -y -I --wrap -A'), '-N': ('', '(none) -p -I --wrap -A'),
         '-P': ('1234', '(none) -p -c -y -I --wrap'),
         '--pin-file': ('absent', '(none) -p -I --wrap'), '--old-pin-file': ('absent', '-p -I --wrap'),
         '--owner-password-file': ('absent', KEYGEN_USES_TPM), '-q': (None, '*'), '-v': (None, '*'),
         '-E': ('md5', '(none) -l -I'), '--parent-handle': ('owner', '(none) -I --wrap -A'),
         '--hierarchy': ('owner', '-A'), '--wrap-with': ('absent', '--wrap'), '--tcti': ('x:', KEYGEN_USES_TPM),
         '--swtpm': (None, KEYGEN_USES_TPM), '-o': (None, KEYGEN_USES_TPM)}),
    'add': (
        {'(none)': (), '-d': (), '-D': (), '-l': (), '-L': (), '-Q': (), '-T': (), '-x': (), '-X': ()},
        {'-t': ('5', '(none)'), '-c': (None, '(none)'), '-h': ('host', '(none)'), '-H': ('absent', '(none)'),
         '--pin': (None, '(none)'), '--pin-file': ('absent', '(none)'), '-k': (None, '(none) -d'),
         '-C': (None, '(none) -d'), '-N': (None, '(none)'), '-E': ('md5', '-l'), '-q': (None, '*'), '-v': (None, '*')}),
    'agent': (
        {'(none)': (), 'COMMAND': ('true',), '-k': (), '--print-socket': (), '--install-user-units': (),
         '--install-system': ()},
        {'-a': ('no-folder/x', AGENTS + ' -k --print-socket'),
         '-l': ('no-folder/x', AGENTS + ' -k --print-socket'),
         '-A': ('x', AGENTS), '--key-dir': ('x', AGENTS), '--no-load': (None, AGENTS),
         '--hierarchy': ('owner', AGENTS), '-t': ('5', AGENTS), '--confirm': (None, AGENTS),
         '--confirm-loaded': (None, AGENTS), '-U': (None, AGENTS),
         '--pin-lifetime': ('5', AGENTS), '--no-cache': (None, AGENTS), '--no-seal': (None, AGENTS),
         '--no-sandbox': (None, AGENTS),
         '-D': (None, '(none)'), '-d': (None, AGENTS), '-s': (None, '(none) -k'), '-c': (None, '(none) -k'),
         '--force': (None, '--install-user-units --install-system'),
         '-E': ('sha256', AGENTS), '--tcti': ('x:', AGENTS), '--swtpm': (None, AGENTS), '-o': (None, AGENTS),
         '--owner-password-file': ('absent', AGENTS)}),
    'hostkeys': (
        {'(none)': (), '--check': (), '--install-system-units': (), '--install-sshd-config': (), '--uninstall': (),
          '--renew': ()},
        {'--socket': ('absent', '(none) --check'), '--json': (None, '--check'),
         '--hierarchy': ('owner', '(none) --check --install-system-units --install-sshd-config --renew'),
         '--force': (None, '--install-system-units --install-sshd-config --uninstall'), '--yes': (None, '--renew'),
         '--tcti': ('x:', '--renew'), '--swtpm': (None, '--renew'), '-o': (None, '--renew'),
         '--owner-password-file': ('absent', '--renew')}),
    'attest request': (
        {'(none)': ()},
        {'-f': ('absent', '*'), '-A': (None, '*'), '--hierarchy': ('owner', '*'), '--host': ('x', '*'),
         '--nonce': ('x', '*'), '--pin-file': ('absent', '*'), '-o': (None, '*'),
         '--owner-password-file': ('absent', '*'), **USING_TPM}),
    'attest install': ({'(none)': ('absent',)}, {'--ca': ('absent', '*'), '--force': (None, '*'), **USING_TPM}),
    'attest verify': ({'(none)': ('absent',)}, {'--json': (None, '*'), **VERIFYING}),
    'attest sign': (
        {'(none)': ('absent',)},
        {'-s': ('absent', '*'), '-U': (None, '*'), '-h': (None, '*'), '-n': ('x', '*'), '-I': ('x', '*'),
         '-V': ('+1d', '*'), '-z': ('1', '*'), '-O': ('clear', '*'), '--receipts': ('absent', '*'), **VERIFYING}),
    'attest check': CHECKING,
    'attest ssh': CHECKING,
    'attest serve': (
        {'(none)': ()},
        {'--key-dir': ('absent', '*'), '--hierarchy': ('owner', '*'), '--event-log': ('absent', '*'),
         '--socket': ('absent', '*'), **USING_TPM}),
    'attest seal': ({'(none)': ('absent', 'absent')}, {'--receipts': ('absent', '*'), **VERIFYING}),
    'doctor': ({'(none)': ()}, {'--json': (None, '*'), **USING_TPM}),
}
# What the modes are called where an option is refused.
INSTALLING = '--install-system-units or --install-sshd-config'
NAMES = {('keygen', '(none)'): 'making a key', ('keygen', '-I'): '--import', ('add', '(none)'): 'adding keys',
         ('agent', '(none)'): 'an agent without a command', ('agent', 'COMMAND'): 'a command',
         ('agent', '--install-system'): '--install-user-units', ('hostkeys', '(none)'): 'listing keys',
         ('doctor', '(none)'): 'checking',
         ('hostkeys', '--install-system-units'): INSTALLING, ('hostkeys', '--install-sshd-config'): INSTALLING}
SAME = {'--import': '-I', '--owner-password': '-o'}  # the long names of short options
TAKES_OPERANDS = {('add', '(none)'), ('add', '-d'), ('add', '-T'), ('agent', '(none)'), ('agent', 'COMMAND'),
                  ('attest verify', '(none)'), ('attest seal', '(none)'), ('attest check', '(none)'),
                  ('attest ssh', '(none)')}
PASS_ON = {'attest check', 'attest ssh'}  # the short options to ssh
TOGETHER = (
    ('keygen', '-A', '--hierarchy', 'owner', '--parent-handle', 'owner'), ('keygen', '-A', '-b', '384'),
    ('keygen', '-N', 'one', '-P', 'other'),
    ('add', '-k', '-C'), ('add', '-d', '-k', '-C'), ('add', '-H', 'absent'), ('agent', '--no-load', '--key-dir', 'x'),
    ('agent', '--no-cache', '--pin-lifetime', '5'), ('agent', '--pin-lifetime', '5', '--no-cache'),
    ('agent', '--no-load', '--confirm'), ('agent', '--no-load', '--confirm-loaded'),
    ('agent', '--tcti', 'x:', '--swtpm'), ('doctor', '--tcti', 'x:', '--swtpm'),
    ('keygen', '-t', 'ecdsa-sha2-nistp384', '-b', '256'),
    ('keygen', '-b', '521', '-t', 'ecdsa-sha2-nistp384'), ('keygen', '-N', 'x', '--pin-file', 'absent'),
    ('keygen', '-P', 'x', '--pin-file', 'absent'), ('keygen', '-p', '-P', 'x', '--old-pin-file', 'absent'),
    ('keygen', '-p', '--pin-file', '-', '--old-pin-file', '-'),
    ('keygen', '--owner-password-file', '-', '--pin-file', '-'), ('keygen', '-o', '--owner-password-file', 'absent'),
    ('agent', '-o', '--owner-password-file', 'absent'), ('hostkeys', '--socket', 'absent', '--hierarchy', 'owner'),
    ('attest serve', '--key-dir', 'absent', '--hierarchy', 'owner'),
    ('attest request', '-A', '-f', 'absent'), ('attest request', '--hierarchy', 'owner'),
    ('attest request', '-o', '--owner-password-file', 'absent'), ('attest request', '--tcti', 'x:', '--swtpm'),
    ('attest install', '--ca', 'absent', '--tcti', 'x:', '--swtpm', 'absent'))
# The options of OpenSSH 10.5's tools of these names that are refused, "x:" with a value; and what the
# refusal speaks of.
REFUSED = {
    'keygen': ('a:Z:m:O:w:D:s:n:z:Y:r:F:R:M:eiKULBgHkQu', {
        '-a': 'not encrypted', '-Z': 'not encrypted', '-m': 'one format', '-O': 'FIDO', '-D': 'PKCS#11',
        '-s': 'ssh-keygen -U -s CA.pub', '-Y': 'ssh-keygen -Y sign', '-e': 'ssh-keygen -e -f KEY.pub'}),
    'add': ('s:e:S:K', {'-s': 'PKCS#11', '-K': 'FIDO'}),
    'agent': ('O:P:Tu', {'-O': 'upstream', '-T': '-a PATH', '-u': 'ssh-agent -u removes'})}
OPENSSH = {  # what each hands to getopt
    'keygen': 'ABHKLQUceghiklopquvyC:D:E:F:I:M:N:O:P:R:V:Y:Z:a:b:f:g:m:n:r:s:t:w:z:',
    'add': 'vkKlLNCcdDTxXE:e:h:H:Qqs:S:t:', 'agent': 'cDdksTuUVE:a:O:P:t:'}


def letters(text):
    """The options in the words of getopt(3): "a:b" is -a with a value and -b without one."""
    return {'-' + letter: bool(colon) for letter, colon in re.findall(r'(\w)(:?)', text)}



class OptionModes(Scenario):
    def setUp(self):
        super().setUp()
        self.tree = self.lab.make_folder('tree')  # nothing is written to this system
        self.lab.write('no-folder', '')  # an agent that was to listen in it ends at once
        self.lab.env.update({'DESTDIR': self.tree, 'SSH_AUTH_SOCK': self.lab.path('absent'), **self.lab.no_tpm})

    def command(self, applet, mode, *more):
        words = [] if mode in ('(none)', 'COMMAND') else [mode]
        operand = TABLE[applet][0][mode]
        line = [*more, *words, *operand]
        if applet == 'agent' and mode in AGENTS.split() and '-a' not in more and '-l' not in more:
            line = ['-a', 'no-folder/x', *line]
        return self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *applet.split(), *line)

    def test_the_table_here_has_every_option(self):
        for applet, options in options_of(self.lab).items():
            modes, others = TABLE[applet]
            known = {name for name in (*modes, *others) if name.startswith('-')}
            named = {SAME.get(name, name) for name in options} - {'-h', '--help', '-V', '--version'}
            self.assertEqual(named, known - {'-h', '-V'}, applet)

    def test_each_option_goes_with_its_modes_and_no_other(self):
        """It is refused in one mode, where it is said which modes it goes with, and taken in one of those. Each mode
        has its turn."""
        for applet in CALLS:
            modes, options = TABLE[applet]
            untried = dict.fromkeys(modes)
            for number, (option, (value, fitting)) in enumerate(options.items()):
                with self.subTest(applet=applet, option=option):
                    fits = list(modes) if fitting == '*' else [mode for mode in modes if mode in fitting.split()]
                    others = [mode for mode in (*untried, *modes) if mode not in fits]
                    if others:
                        self.check_refused(applet, others[0], option, value, fits)
                        untried.pop(others[0], None)
                    if fits:
                        self.check_taken(applet, fits[number % len(fits)], option, value)
            for mode in list(untried) if len(modes) > 1 else ():  # alone, it refuses nothing
                option, (value, _) = next(each for each in options.items() if mode not in each[1][1].split() and
                                          each[1][1] != '*')
                with self.subTest(applet=applet, mode=mode):
                    self.check_refused(applet, mode, option, value, None)

    def words(self, applet, option, value):
        more = (option,) if value is None else (option, value)
        if applet == 'add' and option == '-H':
            more += ('-h', 'host')
        if applet == 'keygen' and option == '-b':
            more += ('-t', 'ecdsa')
        if applet == 'attest request' and option == '--hierarchy':
            more += ('-A',)
        if option == '--swtpm':
            more += ('--tcti', 'x:')  # refused as well, so that no emulator is started
        return more

    def check_taken(self, applet, mode, option, value):
        result = self.command(applet, mode, *self.words(applet, option, value))
        for refusal in ('has no effect', 'unexpected argument', 'unknown option', 'needs an argument'):
            self.assertNotIn(refusal, result.stderr)

    def check_refused(self, applet, mode, option, value, fits):
        before = contents(self.lab.folder)
        result = self.command(applet, mode, *self.words(applet, option, value))
        names = {each: NAMES.get((applet, each), each) for each in TABLE[applet][0]}
        self.assert_error(result, f'has no effect with {names[mode]}', status=2, tool='ssh-tpm-' + applet)
        self.assertEqual(contents(self.lab.folder), before)
        if fits is not None:
            self.assertIn('hint: it goes with ' + ', '.join(dict.fromkeys(names[each] for each in fits)) + '\n',
                          result.stderr)

    def test_an_option_of_openssh_that_would_mean_nothing_here_is_refused_with_the_reason(self):
        for applet, (refused, words) in REFUSED.items():
            for option, takes_value in letters(refused).items():
                with self.subTest(applet=applet, option=option):
                    before = contents(self.lab.folder)
                    result = self.command(applet, '(none)', option, *(['x'] if takes_value else []))
                    self.assert_error(result, f'error: {option}: ', 'hint: ', words.get(option, ''), status=2,
                                      tool='ssh-tpm-' + applet)
                    self.assertEqual((result.stdout, contents(self.lab.folder)), ('', before))

    def test_no_option_of_openssh_is_unknown(self):
        offered = options_of(self.lab)
        for applet, known in OPENSSH.items():
            missing = {option for option in letters(known) if option not in offered[applet] and option != '-h'}
            self.assertEqual(missing, set(letters(REFUSED[applet][0])), applet)

    def test_each_applet_prints_the_version_of_the_program(self):
        program = os.path.join(self.lab.bin, 'ssh-tpm')
        shown = self.lab.run(program, '--version', status=0).stdout
        self.assertRegex(shown, r'\Assh-tpm \d+\.\d+\.\d+(-dev)?\n\Z')
        for words in (('-V',), *((applet, option) for applet in APPLETS for option in ('-V', '--version'))):
            result = self.lab.run(program, *words, 'absent', status=0)
            self.assertEqual((result.stdout, result.stderr), (shown, ''), words)

    def test_a_command_of_an_applet_has_its_own_options_alone(self):
        options = options_of(self.lab)
        for applet, commands in COMMANDS.items():
            of_all = {option for command in commands for option in options[f'{applet} {command}']}
            for command in commands:
                short = {option for option in of_all if len(option) == 2} if f'{applet} {command}' in PASS_ON else set()
                for option in of_all - short - set(options[f'{applet} {command}']):
                    with self.subTest(command=command, option=option):
                        result = self.command(f'{applet} {command}', '(none)', option, 'x')
                        self.assert_error(result, f'unknown option {option}', 'hint: ', status=2,
                                          tool='ssh-tpm-' + applet)

    def test_an_unknown_command_is_refused(self):
        for applet in COMMANDS:
            for word in ('absent', '-A', ''):
                result = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), applet, word)
                self.assert_error(result, f'no command "{word}"', 'hint: ', status=2, tool='ssh-tpm-' + applet)

    def test_an_argument_too_many_is_refused(self):
        for applet in CALLS:
            for mode in TABLE[applet][0]:
                if (applet, mode) in TAKES_OPERANDS:
                    continue
                with self.subTest(applet=applet, mode=mode):
                    before = contents(self.lab.folder)
                    words = [] if mode == '(none)' else [mode]
                    result = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *applet.split(), *words,
                                          *TABLE[applet][0][mode], 'too-many')
                    self.assert_error(result, 'unexpected argument "too-many"', 'hint: ', status=2,
                                      tool='ssh-tpm-' + applet.split()[0])
                    self.assertEqual(contents(self.lab.folder), before)

    def test_of_two_options_that_leave_each_other_without_effect_none_is_taken(self):
        for applet, *words in TOGETHER:
            with self.subTest(applet=applet, words=words):
                result = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *applet.split(), *words)
                self.assert_error(result, status=2, tool='ssh-tpm-' + applet.split()[0])
                self.assertNotIn('Could not open a connection', result.stderr)


if __name__ == '__main__':
    unittest.main()
