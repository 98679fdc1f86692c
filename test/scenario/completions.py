#!/usr/bin/env python3
"""What bash, fish and zsh offer behind ssh-tpm and its links: the options that the program has, and fitting values."""

import os
import pty
import re
import select
import shutil
import time
import unittest

from applet_options import APPLETS, SOURCE, options_of
from lab import DEADLINE, Scenario

FOLDER = os.path.join(SOURCE, 'data', 'completions')
HIERARCHIES = {'endorsement', 'owner', 'platform', 'null'}
HAS_COMPLETION = {shell: shutil.which(shell) is not None for shell in ('bash', 'fish', 'zsh')}


class Completions:
    """What holds in every shell. complete(WORD, …) is what is offered in place of the last word."""

    def setUp(self):
        super().setUp()
        self.options = options_of(self.lab)
        self.place = self.lab.make_folder('place')
        self.lab.make_folder('place', 'folder')
        for name in ('work.tpm', 'work.pub', 'work.txt', 'folder/inner.tpm'):
            self.lab.write(os.path.join('place', name), '')

    def names(self, applet):
        """The two ways to an applet."""
        return (('ssh-tpm', applet), ('ssh-tpm-' + applet,))

    def offers(self, wanted, *words):
        self.assertEqual(set(self.complete(*words)), set(wanted), words)

    def test_the_applets(self):
        self.assertLessEqual({*APPLETS, 'help'}, set(self.complete('ssh-tpm', '')))
        self.offers({'keygen'}, 'ssh-tpm', 'k')
        self.offers({'--help', '--version'}, 'ssh-tpm', '--')

    def test_the_options_of_each_applet_and_no_others(self):
        for applet in APPLETS:
            for name in self.names(applet):
                self.offers(self.options[applet], *name, '-')
                self.offers({option for option in self.options[applet] if option.startswith('--')}, *name, '--')

    def test_types_sizes_and_hashes(self):
        for name in self.names('keygen'):
            self.offers({'ecdsa', 'rsa'}, *name, '-t', '')
            self.offers({'ecdsa'}, *name, '-t', 'e')
            self.offers({'256', '384', '521'}, *name, '-b', '')
            self.offers({'256', '384', '521'}, *name, '-t', 'ecdsa', '-b', '')
            self.offers({'2048', '3072', '4096'}, *name, '-t', 'rsa', '-b', '')
            self.offers({'3072'}, *name, '-t', 'rsa', '-b', '3')
            self.offers({'sha256', 'md5'}, *name, '-l', '-E', '')

    def test_hierarchies(self):
        for applet in ('keygen', 'agent'):
            for name in self.names(applet):
                self.offers(HIERARCHIES, *name, '--hierarchy', '')
                self.offers({'endorsement'}, *name, '--hierarchy', 'en')

    def test_key_files(self):
        for name in self.names('keygen'):
            offered = {word.rstrip('/') for word in self.complete(*name, '-l', '-f', '')}
            self.assertLessEqual({'work.tpm', 'folder'}, offered)
        for name in self.names('add'):
            self.assertEqual({word.rstrip('/') for word in self.complete(*name, '')}, {'work.tpm', 'folder'})
            self.offers({'folder/inner.tpm'}, *name, 'folder/')

    def test_folders(self):
        for name in self.names('agent'):
            self.assertEqual({word.rstrip('/') for word in self.complete(*name, '--key-dir', '')}, {'folder'})

    def test_the_agent_s_operand_is_a_command_behind_whatever_option(self):
        self.assertNotIn('env', self.complete('ssh-tpm', 'agent', '--key-dir', 'en'))
        for option, takes_value in self.options['agent'].items():
            words = (option, 'x', 'en') if takes_value else (option, 'en')
            self.assertIn('env', self.complete('ssh-tpm-agent', *words), words)
        self.assertIn('env', self.complete('ssh-tpm', 'agent', '-t', '1h', 'en'))

    def test_times(self):
        for name in self.names('agent'):
            self.offers({'10m'}, *name, '-t', '10')


@unittest.skipUnless(HAS_COMPLETION['bash'], 'no bash')
class Bash(Completions, Scenario):
    def bash(self, script, *arguments):
        source = f'cd "{self.place}"; source "{FOLDER}/ssh-tpm.bash"; '
        result = self.lab.run('bash', '--norc', '-c', source + script, 'bash', *arguments, status=0)
        self.assertEqual(result.stderr, '')
        return result.stdout.split('\n')[:-1]

    def complete(self, *words):
        # As readline does: the function is called with the command, the word, and the one before it.
        return self.bash('complete -p "$1" | grep -q -- "-F _ssh_tpm " || exit 9; COMP_WORDS=("$@"); '
                         'COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); '
                         '_ssh_tpm "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"; '
                         '((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"', *words)

    def test_an_option_takes_a_value_here_when_it_does_there(self):
        for applet in APPLETS:
            for option, takes_value in self.options[applet].items():
                said = self.bash('__ssh_tpm_takes_value "$1" "$2" && echo value || echo none', applet, option)
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
        talk = Talk(['bash', '--norc', '-i'], self.place,
                    self.lab.merged({'TERM': 'dumb', 'PS1': 'READY> ', 'INPUTRC': '/dev/null'}))
        self.addCleanup(talk.close)
        talk.type(f'source "{FOLDER}/ssh-tpm.bash"; ssh-tpm() {{ echo "<$*>"; }}\n', 'READY> ')
        talk.type('ssh-tpm key\t-A --hierarchy=endo\t\n', '<keygen -A --hierarchy=endorsement>')


@unittest.skipUnless(HAS_COMPLETION['fish'], 'no fish')
class Fish(Completions, Scenario):
    def complete(self, *words):
        line = ' '.join(words)
        result = self.lab.run('fish', '--no-config', '-c', f'cd "{self.place}"; source "{FOLDER}/ssh-tpm.fish"; '
                              'complete -C $argv[1]', line, status=0)
        self.assertEqual(result.stderr, '')
        # Behind the tabulator stands what it is.
        return [offered.split('\t')[0] for offered in result.stdout.split('\n')[:-1]]

    def test_a_value_behind_an_equals_sign(self):
        for name in self.names('keygen'):
            self.offers({'--hierarchy=' + each for each in HIERARCHIES}, *name, '-A', '--hierarchy=')

    def test_options_are_explained(self):
        script = f'source "{FOLDER}/ssh-tpm.fish"; complete -C "ssh-tpm agent -"'
        result = self.lab.run('fish', '--no-config', '-c', script, status=0)
        for line in result.stdout.split('\n')[:-1]:
            self.assertRegex(line, r'^--?[\w-]+\t.')


class Talk:
    """A shell on a terminal of its own."""

    def __init__(self, argv, folder, env):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], argv, env)
        self.said = ''

    def type(self, keys, answer):
        """Types, and waits for the answer, a text. @returns what was said since."""
        self.said = ''
        os.write(self.terminal, keys.encode())
        end = time.monotonic() + DEADLINE
        while answer not in self.said:
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f'no {answer!r} in {self.said!r}')
            self.said += os.read(self.terminal, 65536).decode(errors='replace')
        return self.said

    def close(self):
        os.close(self.terminal)  # which hangs the shell up
        os.waitpid(self.pid, 0)


@unittest.skipUnless(HAS_COMPLETION['zsh'], 'no zsh')
class Zsh(Scenario):
    def setUp(self):
        super().setUp()
        self.options = options_of(self.lab)

    def specifications(self, applet):
        """What the file gives to _arguments."""
        script = f'_arguments() {{ print -rl -- "$@" }}; service=ssh-tpm-{applet}; words=($service -); CURRENT=2; ' \
                 f'load() {{ source "{FOLDER}/_ssh-tpm" }}; load'
        return self.lab.run('zsh', '-f', '-c', script, status=0).stdout.split('\n')[:-1]

    def test_the_options_of_each_applet_and_no_others(self):
        for applet in APPLETS:
            found = {}
            for line in self.specifications(applet):
                option = re.match(r'(?:\([^)]*\))?\*?(--?\w[\w-]*?)[=+]*\[[^]]*\](:?)', line)
                if option:
                    self.assertNotIn(option.group(1), found)
                    found[option.group(1)] = option.group(2) == ':'
            self.assertEqual(found, self.options[applet], applet)

    def test_zsh_reads_the_file(self):
        self.lab.run('zsh', '-n', os.path.join(FOLDER, '_ssh-tpm'), status=0)

    def test_on_a_terminal_words_are_completed(self):
        place = self.lab.make_folder('place')
        self.lab.write('place/work.tpm', '')
        talk = Talk(['zsh', '-f', '-i'], place, self.lab.merged({'TERM': 'dumb', 'PS1': 'READY> '}))
        self.addCleanup(talk.close)
        talk.type(f'fpath=("{FOLDER}" $fpath); autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste; '
                  'ssh-tpm() { print "<$*>" }; ssh-tpm-add() { print "<$*>" }; print O"K"\n', 'OK')
        talk.type('ssh-tpm key\t-A --hierarchy=endo\t\n', '<keygen -A --hierarchy=endorsement>')
        talk.type('ssh-tpm keygen -t rs\t-b 3\t-f wo\t\n', '<keygen -t rsa -b 3072 -f work.tpm>')
        talk.type('ssh-tpm agent --key-d\t\n', '<agent --key-dir')
        talk.type('ssh-tpm-add --pi\two\t\n', '<--pin work.tpm>')


if __name__ == '__main__':
    unittest.main()
