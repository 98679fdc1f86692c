#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Man pages and the other documents agree with the program: its options, its defaults, and files that exist."""

import datetime
import glob
import os
import re
import shutil
import unittest

from applet_options import APPLETS, CALLS, SOURCE, options_of, read_help, unknown_options
from lab import Scenario, read
from swtpm import Swtpm

PAGES = sorted(glob.glob(os.path.join(SOURCE, 'data', 'man', '*.[178]')))
SECTION = {'keygen': 1, 'agent': 1, 'add': 1, 'hostkeys': 8, 'attest': 1, 'doctor': 1}
# The mdoc macros that end what Fl is applied to.
MACRO = re.compile(r'[A-Z][a-z]')
VARIABLE = re.compile(r'\b(?:SSH_[A-Z_]+|XDG_[A-Z_]+|(?:WAYLAND_)?DISPLAY|DESTDIR|PREFIX)\b')
DOCUMENTS = sorted(glob.glob(os.path.join(SOURCE, '*.md')) + glob.glob(os.path.join(SOURCE, 'docs', '*.md')) +
                   glob.glob(os.path.join(SOURCE, 'test', 'bench', '*.md')))


def path_of(applet):
    return os.path.join(SOURCE, 'data', 'man', f'ssh-tpm-{applet}.{SECTION[applet]}')


def page_of(call):
    """The page of an applet, or of its command: "keygen", "attest sign"."""
    return read(path_of(call.split()[0]))


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


def entries(page, command=None):
    """The options that the section Options explains: a dict from the option to whether it takes a value.

    With a command, those of the sections "Options of sign and seal" that name it; an entry there is in place of one
    in "Options of every command"."""
    general, own = {}, {}
    for heading, section in re.findall(r'^\.Ss Options([^\n]*)\n(.*?)^\.El$', page, re.S | re.M):
        if heading and heading != ' of every command' and command not in re.findall(r'\w+', heading):
            continue
        found = general if heading == ' of every command' else own
        for line in re.findall(r'^\.It (.*)$', section, re.M):
            for name in flags(line):
                if name in found:
                    raise ValueError(f'{name} has two entries')
                found[name] = re.search(r'\b(?:Ar|Cm)\b', line) is not None
    return {**general, **own}


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
            for call in CALLS:
                for option in self.options[call] if call.split()[0] == applet else ():
                    self.assertTrue(re.search(rf'(?m)^     .*(?<![\w-]){option}\b', shown), f'{call} {option}')

    def test_each_option_has_its_entry_and_each_entry_its_option(self):
        for call in CALLS:
            with self.subTest(call=call):
                self.assertEqual(entries(page_of(call), *call.split()[1:]), self.options[call])

    def test_a_page_speaks_of_no_option_that_is_not_there(self):
        for applet in APPLETS:
            known = {option for call in CALLS if call.split()[0] == applet for option in self.options[call]}
            for line in page_of(applet).split('\n'):
                for flag in flags(line) if line.startswith('.') else []:
                    letters = ['-' + letter for letter in flag[1:]]
                    self.assertTrue(flag in known or all(each in known for each in letters), f'{applet}: {line}')

    def test_every_command_in_the_documents_has_options_that_exist(self):
        texts = {page: read(page) for page in PAGES + DOCUMENTS}
        for call in CALLS:
            program = os.path.join(self.lab.bin, 'ssh-tpm')
            texts[f'{call} --help'] = self.lab.run(program, *call.split(), '--help', status=0).stdout
        for name, text in texts.items():
            with self.subTest(text=name):
                self.assertEqual(unknown_options(text, self.options), [])

    def test_variables_of_the_help_stand_in_the_page(self):
        for call in CALLS:
            text = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *call.split(), '--help', status=0).stdout
            for name in VARIABLE.findall(text.partition('\nEnvironment\n')[2].partition('\n\n')[0]):
                self.assertTrue(re.search(rf'(?m)^\.It Ev (?:.* )?{name}\b', page_of(call)), f'{call} {name}')

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


NUMBERS = {'half a': 0.5, 'a': 1, 'one': 1, 'two': 2, 'three': 3, 'four': 4, 'five': 5, 'ten': 10}
UNITS = {'second': 1, 'minute': 60, 'hour': 3600}
NUMBER = r'(' + '|'.join([*NUMBERS, r'\d+']) + ')'
TIME = NUMBER + r' (' + '|'.join(UNITS) + r')s?\b'


def value_of(number, unit=None):
    number = number.lower()
    return (NUMBERS[number] if number in NUMBERS else int(number)) * UNITS.get(unit, 1)


def in_sources(folder, pattern):
    """The one value that the C++ sources of a folder give to a name; `pattern` has it as its group."""
    found = {match for path in glob.glob(os.path.join(SOURCE, folder, '*.[ch]pp')) for match in
             re.findall(pattern, read(path))}
    if len(found) != 1:
        raise ValueError(f'{pattern} has {len(found)} values in {folder}')
    return found.pop()


def limit(name):
    """One of src/base/time_limits.hpp, in seconds."""
    return int(in_sources('src/base', rf"Time {name}\{{([\d']+)\}}").replace("'", '')) / 1000


def pin_lifetime(name):
    """One of PinLifetime, in seconds."""
    unit, number = in_sources('src/agent', rf'{name} = std::chrono::(\w+)s\((\d+)\);')
    return value_of(number, unit)


def constant(folder, name):
    return int(in_sources(folder, rf'\b{name} = (\d+);'))


AGENT_PAGES = ('README.md', 'docs/agent.md', 'ssh-tpm-agent.1', 'agent --help')
# The words around a value, the value in the code, and the documents that must have it. Any other document may have it.
DEFAULTS = (
    (rf'kept (?:\| )?for {TIME} after each use', pin_lifetime('idle'), AGENT_PAGES),
    (rf'instead of {TIME}', pin_lifetime('idle'), ('ssh-tpm-agent.1',)),
    (rf'{TIME} in all', pin_lifetime('total'), AGENT_PAGES),
    (rf'taken back (?:\| )?after {TIME}', limit('answer'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'after {NUMBER} wrong PINs', constant('src/agent', 'most_tries'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'After {NUMBER} wrong PINs ssh-tpm-add', constant('applets', 'most_tries'), ('ssh-tpm-add.1',)),
    (rf'at most {NUMBER} (?:questions|at a time)', constant('src/agent', 'most_open'),
     ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'{NUMBER} of them from one process', constant('src/agent', 'most_of_one_process'),
     ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'at most {NUMBER} bytes', constant('src/tpm', 'max_pin'),
     ('docs/agent.md', 'ssh-tpm-keygen.1', 'keygen --help')),
    (rf'ends within {TIME}, also if the agent hangs', limit('host_agent'), ('ssh-tpm-hostkeys.8',)),
    # With a margin, for the start of the sections and for their findings.
    (rf'ends within {TIME}(?!,)', limit('doctor') + 3, ('ssh-tpm-doctor.1', 'doctor --help')),
    (rf'come up to {TIME} later', limit('attest_login'), ('docs/attestation.md', 'ssh-tpm-attest.1')),
    (rf'left out of the list after {TIME}', limit('upstream_list'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'at most {TIME} later', limit('upstream_rest'), ('docs/agent.md',)),
    (rf'not used for {TIME} is closed', limit('upstream_idle'), ('docs/agent.md',)),
    (rf'asked again,? (?:\| )?for up to {TIME}', limit('tpm_busy'),
     ('docs/agent.md', 'ssh-tpm-agent.1', 'ssh-tpm.7')),
    (rf'a command to the TPM \| {TIME}', limit('tpm_command'), ('docs/agent.md',)),
    (rf'a deadline(?::| of) {TIME}', limit('tpm_command'), ('ssh-tpm-agent.1', 'ssh-tpm.7')),
    (rf'storage key \| {TIME}', limit('tpm_key_command'), ('docs/agent.md',)),
    (rf'or (?:of )?{TIME} if it makes', limit('tpm_key_command'), ('ssh-tpm-agent.1', 'ssh-tpm.7')),
    (rf'{TIME} after the last request', limit('tpm_idle'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'(?:looks for|and looks for) the TPM every {TIME}', limit('tpm_retry'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'(?:finish, for|clients have) {TIME}', limit('finish'), ('docs/agent.md', 'ssh-tpm-agent.1')),
    (rf'(?:wait|answer within) {TIME}(?: for an agent| is a failure)', limit('agent_answer'),
     ('docs/agent.md', 'ssh-tpm-add.1')),
    (rf'waits for its turn gives up after {TIME}', limit('emulator_turn'), ('docs/agent.md',)),
    (rf'{TIME} after its last user', limit('emulator_linger'), ('docs/agent.md',)),
)


def plain(text):
    """In one line, without the macros of mdoc."""
    return re.sub(r'\s+', ' ', re.sub(r'(?m)^\.[A-Z][a-z] ', '', text))


def anchors(text):
    """Of the headings of a document."""
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
            for heading in re.findall(r'(?m)^#+ (.*)$', text)}


class Defaults(Scenario):
    """Values that documents name are those of the code."""

    def setUp(self):
        super().setUp()
        self.program = os.path.join(self.lab.bin, 'ssh-tpm')
        self.texts = {os.path.relpath(path, SOURCE): plain(read(path)) for path in DOCUMENTS}
        self.texts.update({os.path.basename(path): plain(read(path)).replace('.Nm', os.path.basename(path)[:-2])
                           for path in PAGES})
        for call in CALLS:
            self.texts[f'{call} --help'] = plain(self.lab.run(self.program, *call.split(), '--help', status=0).stdout)

    def test_times_and_numbers(self):
        for pattern, value, required in DEFAULTS:
            with self.subTest(pattern=pattern):
                found = {name: {value_of(*match.groups()) for match in re.finditer(pattern, text, re.I)}
                         for name, text in self.texts.items()}
                self.assertEqual({name: values for name, values in found.items() if values - {value}}, {})
                self.assertEqual([name for name in required if not found[name]], [])

    def test_the_default_keys(self):
        Swtpm(self.lab)
        self.assertIn('ecdsa (default) or rsa', self.texts['keygen --help'])
        for options, name, bits in ((), 'id_ecdsa', 256), (('-t', 'rsa'), 'id_rsa', 2048):
            self.lab.keygen('-q', '-N', '', *options)
            public = os.path.join(self.lab.home, '.ssh', name + '.pub')
            self.assertTrue(self.lab.ssh_keygen('-l', '-f', public).startswith(f'{bits} '), public)
            self.assertIn(f'{bits} (default)', self.texts['keygen --help'])
            self.assertRegex(self.texts['ssh-tpm-keygen.1'], rf'{bits} \(the default\)')
            self.assertIn(f'~/.ssh/{name}.tpm', self.texts['ssh-tpm-keygen.1'])
        self.assertIn('~/.ssh/id_ecdsa.tpm and .pub', self.texts['README.md'])

    def test_the_sockets(self):
        runtime = self.lab.run(self.program, 'agent', '--print-socket', status=0).stdout.strip()
        self.assertEqual(runtime, self.lab.env['XDG_RUNTIME_DIR'] + '/ssh-tpm-agent.sock')
        unit = read(os.path.join(SOURCE, 'data', 'systemd', 'system', 'ssh-tpm-hostkeys.socket'))
        system = re.search(r'ListenStream=(.*)', unit).group(1)
        self.assertIn(f'(default: {system})', self.texts['hostkeys --help'])
        right = {'$XDG_RUNTIME_DIR/ssh-tpm-agent.sock', '/run/user/UID/ssh-tpm-agent.sock',
                 '~/.ssh/agent/ssh-tpm-agent.sock', system,
                 *(system.replace('agent.sock', name + '.sock') for name in ('endorsement', 'attest'))}
        for name, text in self.texts.items():
            self.assertLessEqual(set(re.findall(r'[$~/][\w$~./-]*/[\w-]+\.sock\b', text)), right, name)
        for name, socket in (('README.md', '$XDG_RUNTIME_DIR/ssh-tpm-agent.sock'), ('docs/host-keys.md', system),
                             ('docs/agent.md', '$XDG_RUNTIME_DIR/ssh-tpm-agent.sock')):
            self.assertIn(socket, self.texts[name])

    def test_the_files_of_known_tpms_and_of_the_emulator(self):
        Swtpm(self.lab)
        state = os.path.join(self.lab.home, '.local', 'state')
        for options in ((), ('--swtpm',)):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path('key' + ''.join(options)), *options,
                            env={'XDG_STATE_HOME': '', 'SSH_TPM_TCTI': '' if options else self.lab.env['SSH_TPM_TCTI']})
        for name in ('known_tpms', 'swtpm'):
            self.assertTrue(os.path.exists(f'{state}/ssh-tpm/{name}'), name)
        right = {place + '/ssh-tpm/' + name for place in ('~/.local/state', '$XDG_STATE_HOME')
                 for name in ('known_tpms', 'swtpm')}
        for name, text in self.texts.items():
            self.assertLessEqual(set(re.findall(r'[$~/][\w$~./-]*/ssh-tpm/(?:known_tpms|swtpm)\b', text)) -
                                 {'$HOME/.local/state/ssh-tpm/swtpm'}, right, name)
        self.assertIn('~/.local/state/ssh-tpm/known_tpms', self.texts['docs/security.md'])
        self.assertIn('~/.local/state/ssh-tpm/swtpm', self.texts['docs/agent.md'])


class Links(unittest.TestCase):
    """Documents refer to files that are there."""

    def test_links_lead_to_a_file_and_to_a_heading_in_it(self):
        for path in DOCUMENTS:
            for target in re.findall(r'\]\(([^)]*)\)', read(path)):
                name, _, anchor = target.partition('#')
                there = os.path.join(os.path.dirname(path), name) if name else path
                self.assertTrue(os.path.exists(there), f'{path}: {target}')
                self.assertTrue(not anchor or anchor in anchors(read(there)), f'{path}: {target}')

    def test_named_files_of_the_tree_are_there(self):
        for path in DOCUMENTS:
            for name in re.findall(r'`((?:applets|data|docs|src|test)/[^`\s]*)', read(path)):
                if 'NAME' not in name:
                    self.assertTrue(os.path.exists(os.path.join(SOURCE, name)), f'{path}: {name}')

    def test_each_page_of_docs_is_linked_in_the_readme_or_for_contributors(self):
        texts = [read(os.path.join(SOURCE, name)) for name in ('README.md', 'CONTRIBUTING.md')]
        for path in glob.glob(os.path.join(SOURCE, 'docs', '*.md')):
            self.assertIn(f'(docs/{os.path.basename(path)})', ''.join(texts))

    def test_the_readme_fits_two_screens(self):
        self.assertLessEqual(read(os.path.join(SOURCE, 'README.md')).count('\n'), 100)


# The version, in the files that have to repeat it.
PROJECT_VERSION = r"(?m)^  version: '(\d+\.\d+\.\d+)(-dev)?',$"
CHANGELOG_VERSION = r'\A# Changelog\n\n## (\d+\.\d+\.\d+) – (unreleased|\d{4}-\d\d-\d\d)\n'
PACKAGE_VERSIONS = {
    'changelog': r'\Assh-tpm \((\S+)-\d+\) ',
    'ssh-tpm.spec': r'(?m)^Version:\s*(\S+)$',
    'PKGBUILD': r'(?m)^pkgver=(\S+)$',
}
PAGE_DATE = r'(?m)^\.Dd (\w+ \d+, \d{4})$'


def version_faults(texts):
    """The files that do not name the version and the date of meson.build and CHANGELOG.md; `texts` is a dict."""
    version, development = re.search(PROJECT_VERSION, texts['meson.build']).groups()
    newest, date = re.search(CHANGELOG_VERSION, texts['CHANGELOG.md']).groups()
    if (newest, date == 'unreleased') != (version, development is not None):
        yield 'CHANGELOG.md'
    for path, text in texts.items():
        pattern = PACKAGE_VERSIONS.get(os.path.basename(path))
        if pattern and re.findall(pattern, text) != [version]:
            yield path
        if path.endswith(('.1', '.7', '.8')):
            days = [str(datetime.datetime.strptime(day, '%B %d, %Y').date()) for day in re.findall(PAGE_DATE, text)]
            if len(days) != 1 or date not in ('unreleased', days[0]):
                yield path


class Version(Scenario):
    """The version is that of meson.build, with -dev until its release."""

    def test_every_file_that_names_the_version_names_this_one(self):
        packaging = glob.glob(os.path.join(SOURCE, 'data', 'packaging', '**'), recursive=True)
        paths = [*PAGES, *(os.path.join(SOURCE, name) for name in ('meson.build', 'CHANGELOG.md')),
                 *(path for path in packaging if os.path.basename(path) in PACKAGE_VERSIONS)]
        self.assertEqual({os.path.basename(path) for path in paths} & set(PACKAGE_VERSIONS), set(PACKAGE_VERSIONS))
        texts = {os.path.relpath(path, SOURCE): read(path) for path in paths}
        self.assertEqual(list(version_faults(texts)), [])
        version = ''.join(re.search(PROJECT_VERSION, texts['meson.build']).groups(default=''))
        self.assertEqual(self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), '--version', status=0).stdout,
                         f'ssh-tpm {version}\n')


class Reading(unittest.TestCase):
    """What the other tests rest on."""

    HELP = 'usage: x\n\nIt.\n\n  -t TYPE      the type\n  -o, --own    that\n      --only X  this\n\nFiles\n  -x\n'

    def test_a_help_is_read_and_one_with_an_odd_line_refused(self):
        self.assertEqual(read_help(self.HELP), {'-t': True, '-o': False, '--own': False, '--only': True})
        with self.assertRaises(ValueError):
            read_help(self.HELP.replace('  -o, --own ', '  -o --own '))

    def test_unknown_options_are_found(self):
        options = {call: {'-l': False, '-v': False, '-f': True, '--pin': False, '--dir': True} for call in CALLS}
        for line, wrong in (('ssh-tpm keygen -lvf -x', []), ('$(ssh-tpm agent -s)', ['agent -s']),
                            ('`ssh-tpm-add --pin`', []), ('ssh-tpm add -p', ['add -p']),
                            ('ssh-tpm agent --dir=x --dirs y make -k', ['agent --dirs']),
                            ('ssh-tpm agent make -k  -k', []), ('ssh-tpm keygen  --not', []),
                            ('ssh-tpm-hostkeys.socket --now', []), ('ssh-tpm-attest seal -f -x', []),
                            ('ssh-tpm attest seal -x -l', ['attest seal -x']), ('ssh-tpm-attest 1', []),
                            ('ssh-tpm attest help', ['attest help'])):
            self.assertEqual(unknown_options(line, options), wrong, line)

    def test_values_are_read(self):
        self.assertEqual([value_of(*words) for words in (('half a', 'minute'), ('180', 'second'), ('four',))],
                         [30, 180, 4])
        self.assertEqual(plain('.Pp\n.Pa x ,\ny'), '.Pp x , y')
        self.assertEqual(anchors('# The `-A` agent\n\n## PINs and lockout\n'), {'the--a-agent', 'pins-and-lockout'})

    def test_files_with_another_version_or_date_are_found(self):
        released = {
            'meson.build': "project('ssh-tpm', 'cpp',\n  version: '0.2.0',\n",
            'CHANGELOG.md': '# Changelog\n\n## 0.2.0 – 2026-03-04\n\n- x\n\n## 0.1.0 – 2026-01-02\n',
            'ssh-tpm.1': '.Dd March 4, 2026\n', 'ssh-tpm.7': '.Dd March 4, 2026\n',
            'debian/changelog': 'ssh-tpm (0.2.0-1) unstable; urgency=medium\n\nssh-tpm (0.1.0-1) unstable; x\n',
            'ssh-tpm.spec': 'Name:    ssh-tpm\nVersion: 0.2.0\n', 'PKGBUILD': 'pkgver=0.2.0\npkgrel=1\n',
        }
        self.assertEqual(list(version_faults(released)), [])
        development = {'meson.build': released['meson.build'].replace('0.2.0', '0.2.0-dev'),
                       'CHANGELOG.md': released['CHANGELOG.md'].replace('2026-03-04', 'unreleased')}
        self.assertEqual(list(version_faults({**released, **development})), [])
        for name, text in development.items():
            self.assertEqual(list(version_faults({**released, name: text})), ['CHANGELOG.md'])
        for name in set(released) - {'meson.build'}:
            other = released[name].replace('0.2.0', '0.3.0').replace('March 4', 'March 5')
            self.assertEqual(list(version_faults({**released, name: other})), [name])
        undated = {**released, **development, 'ssh-tpm.7': '.Dd $Mdocdate$\n'}
        self.assertEqual(list(version_faults(undated)), ['ssh-tpm.7'])

    def test_flags_of_mdoc_are_read(self):
        self.assertEqual(flags('.Op Fl D | d Ar x | Fl -swtpm'), ['-D', '-d', '--swtpm'])
        self.assertEqual(flags('.Ic ssh-add -d'), [])

    def test_entries_of_commands_are_read(self):
        page = ''.join(f'.Ss Options of {heading}\n.It Fl {flag}\n.El\n' for heading, flag in (
            ('one', 'a'), ('two and one', 'b Ar x'), ('three', 'c'), ('every command', 'b , d')))
        self.assertEqual(entries(page, 'one'), {'-a': False, '-b': True, '-d': False})
        self.assertEqual(entries(page, 'three'), {'-b': False, '-c': False, '-d': False})
        with self.assertRaises(ValueError):
            entries(page.replace('Ar x', ', a'), 'one')


if __name__ == '__main__':
    unittest.main()
