#!/usr/bin/env python3
"""Man pages and README have the program's options, and no others."""

import glob
import os
import re
import shutil
import unittest

from applet_options import APPLETS, SOURCE, options_of, read_help, unknown_options
from lab import Scenario, read

PAGES = sorted(glob.glob(os.path.join(SOURCE, 'data', 'man', '*.[178]')))
SECTION = {'keygen': 1, 'agent': 1, 'add': 1, 'hostkeys': 8}
# The mdoc macros that end what Fl is applied to.
MACRO = re.compile(r'[A-Z][a-z]')
VARIABLE = re.compile(r'\b(?:SSH_[A-Z_]+|XDG_[A-Z_]+|(?:WAYLAND_)?DISPLAY|DESTDIR|PREFIX)\b')


def path_of(applet):
    return os.path.join(SOURCE, 'data', 'man', f'ssh-tpm-{applet}.{SECTION[applet]}')


def page_of(applet):
    return read(path_of(applet))


def flags(line):
    """The options in a line of mdoc: "Fl D | d Ar x" has -D and -d."""
    found, in_flag = [], False
    for word in line.lstrip('.').split():
        if word == 'Fl':
            in_flag = True
        elif MACRO.fullmatch(word):
            in_flag = False
        elif in_flag and re.match(r'[-\w]', word):
            found.append('-' + word)
    return found


def entries(page):
    """The options that the section Options explains: a dict from the option to whether it takes a value."""
    section = re.search(r'^\.Ss Options\n(.*?)^\.El$', page, re.S | re.M).group(1)
    found = {}
    for line in re.findall(r'^\.It (.*)$', section, re.M):
        for name in flags(line):
            if name in found:
                raise ValueError(f'{name} has two entries')
            found[name] = re.search(r'\b(?:Ar|Cm)\b', line) is not None
    return found


class Manual(Scenario):
    def setUp(self):
        super().setUp()
        self.options = options_of(self.lab)

    def test_a_page_is_there_for_each_applet_for_the_program_and_for_the_whole(self):
        wanted = {f'ssh-tpm-{applet}.{section}' for applet, section in SECTION.items()} | {'ssh-tpm.1', 'ssh-tpm.7'}
        self.assertEqual({os.path.basename(page) for page in PAGES}, wanted)

    @unittest.skipUnless(shutil.which('mandoc'), 'no mandoc')
    def test_mandoc_has_nothing_to_say(self):
        for page in PAGES:
            with self.subTest(page=os.path.basename(page)):
                result = self.lab.run('mandoc', '-T', 'lint', '-W', 'warning', page)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))
        broken = self.lab.write('broken.1', read(PAGES[0]).replace('.Sh NAME', '.Sh NAME\n.Xx y'))
        self.assertNotEqual(self.lab.run('mandoc', '-T', 'lint', '-W', 'warning', broken).returncode, 0)

    @unittest.skipUnless(shutil.which('mandoc'), 'no mandoc')
    def test_a_page_is_shown_with_its_name_and_every_option(self):
        for applet in APPLETS:
            shown = self.lab.run('mandoc', '-T', 'ascii', path_of(applet), status=0).stdout
            shown = re.sub(r'.\x08', '', shown)
            self.assertIn(f'ssh-tpm-{applet} - ', shown)
            for option in self.options[applet]:
                self.assertTrue(re.search(rf'(?m)^     .*(?<![\w-]){option}\b', shown), f'{applet} {option}')

    def test_each_option_has_its_entry_and_each_entry_its_option(self):
        for applet in APPLETS:
            with self.subTest(applet=applet):
                self.assertEqual(entries(page_of(applet)), self.options[applet])

    def test_a_page_speaks_of_no_option_that_is_not_there(self):
        for applet in APPLETS:
            known = self.options[applet]
            for line in page_of(applet).split('\n'):
                for flag in flags(line) if line.startswith('.') else []:
                    letters = ['-' + letter for letter in flag[1:]]
                    self.assertTrue(flag in known or all(each in known for each in letters), f'{applet}: {line}')

    def test_every_command_in_the_documents_has_options_that_exist(self):
        texts = {page: read(page) for page in PAGES + [os.path.join(SOURCE, 'README.md')]}
        for applet in APPLETS:
            texts[f'{applet} --help'] = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), applet, '--help').stdout
        for name, text in texts.items():
            with self.subTest(text=name):
                self.assertEqual(unknown_options(text, self.options), [])

    def test_variables_of_the_help_stand_in_the_page(self):
        for applet in APPLETS:
            text = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), applet, '--help', status=0).stdout
            for name in VARIABLE.findall(text.partition('\nEnvironment\n')[2].partition('\n\n')[0]):
                self.assertTrue(re.search(rf'(?m)^\.It Ev (?:.* )?{name}\b', page_of(applet)), f'{applet} {name}')

    def test_the_program_alone_has_the_options_of_its_page(self):
        page = read(os.path.join(SOURCE, 'data', 'man', 'ssh-tpm.1'))
        found = entries(page)
        self.assertEqual(set(found), {'-h', '--help', '-V', '--version'})
        for option in found:
            self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), option, status=0)
        for applet in APPLETS:
            self.assertRegex(page, rf'(?m)^\.It Cm {applet}$')

    def test_pages_refer_to_pages_that_are_there(self):
        there = {os.path.basename(page) for page in PAGES}
        units = glob.glob(os.path.join(SOURCE, 'data', 'systemd', '*', '*'))
        self.assertTrue(units)
        for path in PAGES + units:
            text = read(path)
            for name, section in (re.findall(r'\bXr (ssh-tpm[\w-]*) (\d)', text) +
                                  re.findall(r'man:(ssh-tpm[\w-]*)\((\d)\)', text)):
                self.assertIn(f'{name}.{section}', there, path)


class Reading(unittest.TestCase):
    """What the other tests rest on."""

    HELP = 'usage: x\n\nIt.\n\n  -t TYPE      the type\n  -o, --own    that\n      --only X  this\n\nFiles\n  -x\n'

    def test_a_help_is_read_and_one_with_an_odd_line_refused(self):
        self.assertEqual(read_help(self.HELP), {'-t': True, '-o': False, '--own': False, '--only': True})
        with self.assertRaises(ValueError):
            read_help(self.HELP.replace('  -o, --own ', '  -o --own '))

    def test_unknown_options_are_found(self):
        options = {applet: {'-l': False, '-v': False, '-f': True, '--pin': False, '--dir': True} for applet in APPLETS}
        for line, wrong in (('ssh-tpm keygen -lvf -x', []), ('$(ssh-tpm agent -s)', ['agent -s']),
                            ('`ssh-tpm-add --pin`', []), ('ssh-tpm add -p', ['add -p']),
                            ('ssh-tpm agent --dir=x --dirs y make -k', ['agent --dirs']),
                            ('ssh-tpm agent make -k  -k', []), ('ssh-tpm keygen  --not', []),
                            ('ssh-tpm-hostkeys.socket --now', [])):
            self.assertEqual(unknown_options(line, options), wrong, line)

    def test_flags_of_mdoc_are_read(self):
        self.assertEqual(flags('.Op Fl D | d Ar x | Fl -swtpm'), ['-D', '-d', '--swtpm'])
        self.assertEqual(flags('.Ic ssh-add -d'), [])


if __name__ == '__main__':
    unittest.main()
