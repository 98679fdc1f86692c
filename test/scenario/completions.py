#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The completions of bash, fish and zsh offer the program's options, and no others."""

import os
import re
import shutil
import unittest

from applet_options import APPLETS, COMMANDS, SOURCE, options_of
from lab import Scenario
from terminal import Terminal

COMPLETIONS = os.path.join(SOURCE, 'data', 'completions')
HIERARCHIES = {'endorsement', 'owner', 'platform', 'null'}
HAS_COMPLETION = {shell: shutil.which(shell) is not None for shell in ('bash', 'fish', 'zsh')}


class Completions:
    """What holds in every shell. complete_each(WORDS, …) is what is offered in place of the last of each WORDS."""

    def setUp(self):
        super().setUp()
        self.options = options_of(self.lab)
        self.place = self.lab.make_folder('place')
        self.lab.make_folder('place', 'folder')
        for name in ('work.tpm', 'work.pub', 'work.txt', 'folder/inner.tpm'):
            self.lab.write(os.path.join('place', name), '')

    def names(self, call):
        """The two ways to an applet, or to one of its commands."""
        applet, *command = call.split()
        return (('ssh-tpm', applet, *command), ('ssh-tpm-' + applet, *command))

    def complete(self, *words):
        return self.complete_each(words)[0]

    def offers(self, wanted, *words):
        self.assertEqual(set(self.complete(*words)), set(wanted), words)

    def test_the_applets(self):
        self.assertLessEqual({*APPLETS, 'help'}, set(self.complete('ssh-tpm', '')))
        self.offers({'keygen'}, 'ssh-tpm', 'k')
        self.offers({'--help', '--version'}, 'ssh-tpm', '--')

    def test_the_commands_of_applets(self):
        for applet, commands in COMMANDS.items():
            for name in self.names(applet):
                self.offers(commands, *name, '')
                self.offers({commands[0]}, *name, commands[0][:-1])
                self.offers({'--help', '--version'}, *name, '--')

    def test_the_options_of_each_applet_and_no_others(self):
        for applet in self.options:
            for name in self.names(applet):
                self.offers(self.options[applet], *name, '-')
                self.offers({option for option in self.options[applet] if option.startswith('--')}, *name, '--')

    def test_the_values_of_options_are_offered(self):
        sizes = {'ecdsa': {'256', '384', '521'}, 'rsa': {'2048', '3072', '4096'}}
        for applet, words, offered in (
                ('keygen', ('-t', ''), {'ecdsa', 'rsa'}), ('keygen', ('-t', 'e'), {'ecdsa'}),
                ('keygen', ('-b', ''), sizes['ecdsa']), ('keygen', ('-t', 'ecdsa', '-b', ''), sizes['ecdsa']),
                ('keygen', ('-t', 'rsa', '-b', ''), sizes['rsa']), ('keygen', ('-t', 'rsa', '-b', '3'), {'3072'}),
                ('keygen', ('-l', '-E', ''), {'sha256', 'md5'}), ('keygen', ('--hierarchy', ''), HIERARCHIES),
                ('agent', ('--hierarchy', ''), HIERARCHIES), ('agent', ('--hierarchy', 'en'), {'endorsement'}),
                ('agent', ('-t', '10'), {'10m'}), ('attest verify', ('--max-age', ''), {'10m', '1h', '24h', '7d'}),
                ('attest request', ('-A', '--hierarchy', 'en'), {'endorsement'})):
            for name in self.names(applet):
                self.offers(offered, *name, *words)

    def test_key_files_and_folders_are_offered(self):
        for name in self.names('keygen'):
            offered = {word.rstrip('/') for word in self.complete(*name, '-l', '-f', '')}
            self.assertLessEqual({'work.tpm', 'folder'}, offered)
        for name in self.names('add'):
            self.assertEqual({word.rstrip('/') for word in self.complete(*name, '')}, {'work.tpm', 'folder'})
            self.offers({'folder/inner.tpm'}, *name, 'folder/')
        for name in self.names('agent'):
            self.assertEqual({word.rstrip('/') for word in self.complete(*name, '--key-dir', '')}, {'folder'})
        for name in self.names('attest sign'):
            self.assertEqual({word.rstrip('/') for word in self.complete(*name, '--ek-roots', '')}, {'folder'})
            for words in ((), ('-s', 'ca'), ('-s',)):
                offered = {word.rstrip('/') for word in self.complete(*name, *words, '')}
                self.assertEqual(offered, {'work.tpm', 'work.pub', 'work.txt', 'folder'}, words)

    def test_the_agent_s_operand_is_a_command_behind_whatever_option(self):
        self.assertNotIn('env', self.complete('ssh-tpm', 'agent', '--key-dir', 'en'))
        behind = [(option, 'x', 'env') if takes_value else (option, 'env')
                  for option, takes_value in self.options['agent'].items()]
        lines = [('ssh-tpm-agent', *words) for words in behind] + [('ssh-tpm', 'agent', '-t', '1h', 'env')]
        for words, offered in zip(lines, self.complete_each(*lines)):
            self.assertIn('env', offered, words)


@unittest.skipUnless(HAS_COMPLETION['bash'], 'no bash')
class Bash(Completions, Scenario):
    def bash(self, script, *arguments):
        source = f'cd "{self.place}"; source "{COMPLETIONS}/ssh-tpm.bash"; '
        result = self.lab.run('bash', '--norc', '-c', source + script, 'bash', *arguments, status=0)
        self.assertEqual(result.stderr, '')
        return result.stdout.split('\n')[:-1]

    def complete_each(self, *lines):
        return [self.complete_one(*words) for words in lines]

    def complete_one(self, *words):
        # As readline does: the function is called with the command, the word, and the one before it.
        return self.bash('complete -p "$1" | grep -q -- "-F _ssh_tpm " || exit 9; COMP_WORDS=("$@"); '
                         'COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); '
                         '_ssh_tpm "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"; '
                         '((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"', *words)

    def test_an_option_takes_a_value_here_when_it_does_there(self):
        for applet in self.options:
            for option, takes_value in self.options[applet].items():
                said = self.bash('__ssh_tpm_takes_value "$1" "$2" && echo value || echo none',
                                 applet.replace(' ', '_'), option)
                self.assertEqual(said, ['value' if takes_value else 'none'], f'{applet} {option}')

    def test_one_dash_is_enough_for_a_long_option(self):
        for name in self.names('agent'):
            self.offers({'-hierarchy'}, *name, '-hier')
            self.offers(HIERARCHIES, *name, '-hierarchy', '')
        self.offers({'-install-system-units', '-install-sshd-config'}, 'ssh-tpm-hostkeys', '-install')

    def test_a_value_behind_an_equals_sign(self):
        # bash has the sign as a word of its own.
        for name in self.names('keygen'):
            self.offers(HIERARCHIES, *name, '-A', '--hierarchy', '=')
            self.offers({'null'}, *name, '-A', '--hierarchy', '=', 'n')
            self.offers({'work.tpm', 'folder'}, *name, '--print-pubkey', '=')

    def test_a_value_behind_letters_in_one_word(self):
        for name in self.names('keygen'):
            self.offers({'work.tpm', 'work.pub', 'folder'}, *name, '-lvf', '')
            self.offers({'work.tpm', 'work.pub'}, *name, '-lvf', 'w')
            self.offers((), *name, '-fvl', 'w')

    def test_what_may_be_removed_includes_public_keys_and_each_is_offered_once(self):
        for name in self.names('add'):
            self.assertEqual(sorted(self.complete(*name, '-d', '')), ['folder', 'work.pub', 'work.tpm'])

    def test_a_name_with_a_space_is_one_word(self):
        self.lab.write('place/my key.tpm', '')
        self.offers({'my key.tpm'}, 'ssh-tpm', 'add', 'my')

    def test_what_follows_a_colon_is_no_command(self):
        # bash has the sign as a word of its own.
        for name in self.names('agent'):
            self.offers((), *name, '--tcti', 'device', ':', '/dev')

    def test_interactively_the_word_is_completed(self):
        with Terminal(self.lab, 'bash', '--norc', '-i', env={'PS1': 'READY> ', 'INPUTRC': '/dev/null'}) as terminal:
            for typed, answer in ((f'source "{COMPLETIONS}/ssh-tpm.bash"; ssh-tpm() {{ echo "<$*>"; }}\n', 'READY> '),
                                  ('ssh-tpm key\t-A --hierarchy=endo\t\n', '<keygen -A --hierarchy=endorsement>')):
                terminal.type(typed)
                terminal.read_until(answer)


@unittest.skipUnless(HAS_COMPLETION['fish'], 'no fish')
class Fish(Completions, Scenario):
    def complete_each(self, *lines):
        # Without the function, which looks for what each command does: that takes long.
        script = f'cd "{self.place}"; source "{COMPLETIONS}/ssh-tpm.fish"; function __fish_describe_command; end; ' \
                 'for line in $argv; complete -C $line; echo; end'
        result = self.lab.run('fish', '--no-config', '-c', script, *(' '.join(words) for words in lines), status=0)
        self.assertEqual(result.stderr, '')
        # Behind the tabulator stands what it is; behind the last one of a line stands an empty one.
        blocks = [block.split('\n') for block in ('\n' + result.stdout).split('\n\n')[:-1]]
        return [[offered.split('\t')[0] for offered in block if offered] for block in blocks]

    def test_a_value_behind_an_equals_sign(self):
        for name in self.names('keygen'):
            self.offers({'--hierarchy=' + each for each in HIERARCHIES}, *name, '-A', '--hierarchy=')

    def test_options_are_explained(self):
        script = f'source "{COMPLETIONS}/ssh-tpm.fish"; complete -C "ssh-tpm agent -"'
        result = self.lab.run('fish', '--no-config', '-c', script, status=0)
        for line in result.stdout.split('\n')[:-1]:
            self.assertRegex(line, r'^--?[\w-]+\t.')


@unittest.skipUnless(HAS_COMPLETION['zsh'], 'no zsh')
class Zsh(Scenario):
    def setUp(self):
        super().setUp()
        self.options = options_of(self.lab)

    def specifications(self, call):
        """What the file gives to _arguments."""
        applet, *command = call.split()
        script = f'_arguments() {{ print -rl -- "$@" }}; service=ssh-tpm-{applet}; ' \
                 f'words=($service {" ".join(command)} -); CURRENT=$#words; ' \
                 f'load() {{ source "{COMPLETIONS}/_ssh-tpm" }}; load'
        return self.lab.run('zsh', '-f', '-c', script, status=0).stdout.split('\n')[:-1]

    def test_the_options_of_each_applet_and_no_others(self):
        for applet in self.options:
            found = {}
            for line in self.specifications(applet):
                option = re.match(r'(?:\([^)]*\))?\*?(--?\w[\w-]*?)[=+]*\[[^]]*\](:?)', line)
                if option:
                    self.assertNotIn(option.group(1), found)
                    found[option.group(1)] = option.group(2) == ':'
            self.assertEqual(found, self.options[applet], applet)

    def test_zsh_reads_the_file(self):
        self.lab.run('zsh', '-n', os.path.join(COMPLETIONS, '_ssh-tpm'), status=0)

    def test_on_a_terminal_words_are_completed(self):
        self.lab.write('work.tpm', '')
        with Terminal(self.lab, 'zsh', '-f', '-i', env={'PS1': 'READY> '}) as terminal:
            for typed, answer in (
                    (f'fpath=("{COMPLETIONS}" $fpath); autoload -U compinit; compinit -u -D; '
                     'unsetopt zle_bracketed_paste; ssh-tpm() { print "<$*>" }; '
                     'ssh-tpm-add() { print "<$*>" }; print O"K"\n', 'OK'),
                    ('ssh-tpm key\t-A --hierarchy=endo\t\n', '<keygen -A --hierarchy=endorsement>'),
                    ('ssh-tpm keygen -t rs\t-b 3\t-f wo\t\n', '<keygen -t rsa -b 3072 -f work.tpm>'),
                    ('ssh-tpm agent --key-d\t\n', '<agent --key-dir'),
                    ('ssh-tpm attest ver\t--max\t24\t--js\two\t\n',
                     '<attest verify --max-age=24h --json work.tpm>'),
                    ('ssh-tpm-add --pin wo\t\n', '<--pin work.tpm>'),
                    ('ssh-tpm-add --pin-f\two\t\n', '<--pin-file=work.tpm>')):
                terminal.type(typed)
                terminal.read_until(answer)


if __name__ == '__main__':
    unittest.main()
