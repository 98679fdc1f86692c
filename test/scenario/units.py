#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is installed: systemd takes the units that the program writes and holds their sandboxes for tight, a person has
units of its own, and meson puts everything in its place."""

import os
import re
import shlex
import shutil
import unittest

from applet_options import APPLETS, COMMANDS, SOURCE
from lab import (AS_NOBODY, NO_LEAK_CHECK, NOBODY, ROOT, WITH_MOUNTS, Lab, Scenario, contents, link_program, mode,
                 needs_mounts, needs_root, read)
from manager import Unit

BUILD = os.environ.get('SSH_TPM_BUILD', '')
HAS_MESON = shutil.which('meson') is not None and os.access(BUILD, os.W_OK)  # meson writes a log there
USER_UNITS = ('ssh-tpm-agent.service', 'ssh-tpm-agent.socket')
GENKEYS = 'ssh-tpm-genkeys.service', 'ssh-tpm-genkeys@.service'
HOST_AGENTS = 'ssh-tpm-hostkeys.service', 'ssh-tpm-hostkeys@.service'
ATTEST = 'ssh-tpm-attest.service'

ODD = ('plain', 'with a space', 'per%cent%d', 'dol$lar ${HOME} $$', 'ümläut', 'quo"te', "apo'strophe", 'back\\slash',
       'tab\there', 'semi;colon', '-dash', '#hash', os.fsdecode(b'not utf-8 \xff'))


def links(folder, ending=''):
    return {f'{folder}/ssh-tpm-{applet}{ending}' for applet in APPLETS}


def expected(prefix, units='lib/systemd/system', zsh='site-functions'):
    """What is installed below a prefix; units alone may lie outside, in systemd's own folder."""
    system = (*GENKEYS, *HOST_AGENTS, ATTEST, 'ssh-tpm-attest.socket', 'ssh-tpm-hostkeys.socket',
              'ssh-tpm-hostkeys@.socket')
    completions, fish = 'share/bash-completion/completions', 'share/fish/vendor_completions.d'
    openssh = {f'libexec/ssh-tpm/{tool}' for tool in ('ssh-agent', 'ssh-add', 'ssh-keygen')}
    names = links('bin') | openssh | links(completions) | links(fish, '.fish') | {
        'bin/ssh-tpm', f'{completions}/ssh-tpm', f'{fish}/ssh-tpm.fish', f'share/zsh/{zsh}/_ssh-tpm',
        'share/man/man1/ssh-tpm.1', 'share/man/man1/ssh-tpm-keygen.1', 'share/man/man1/ssh-tpm-agent.1',
        'share/man/man1/ssh-tpm-add.1', 'share/man/man1/ssh-tpm-attest.1', 'share/man/man1/ssh-tpm-doctor.1',
        'share/man/man7/ssh-tpm.7',
        'share/man/man8/ssh-tpm-hostkeys.8',
        'lib/systemd/user/ssh-tpm-agent.service', 'lib/systemd/user/ssh-tpm-agent.socket',
        'lib/sysusers.d/ssh-tpm.conf', 'lib/tmpfiles.d/ssh-tpm.conf', 'lib/environment.d/60-ssh-tpm.conf',
        'share/ssh-tpm/sshd_config.d/70-ssh-tpm.conf'}
    return {f'{prefix}/{name}' for name in names} | {os.path.join(prefix, units, unit) for unit in system}


class Units(Scenario):
    @classmethod
    def setUpClass(cls):
        """All units, in a tree for those who only read them."""
        super().setUpClass()
        lab = Lab()
        cls.addClassCleanup(lab.close)
        cls.written = lab.path('root')
        cls.write_all(lab, lab.bin + '/ssh-tpm', cls.written)

    def setUp(self):
        super().setUp()
        self.root = self.written
        self.program = self.lab.bin + '/ssh-tpm'

    @staticmethod
    def write_all(lab, program, tree):
        # The build folder is no place for the system's programs, but systemd-analyze looks whether it is there.
        for words in ('hostkeys', '--install-system-units', '--force'), ('agent', '--install-system'):
            lab.run(program, *words, env={'DESTDIR': tree}, status=0)

    def folder(self, kind):
        return os.path.join(self.root, 'etc/systemd', kind)

    def text(self, kind, name):
        return read(os.path.join(self.folder(kind), name))

    def unit(self, kind, name):
        return Unit(os.path.join(self.folder(kind), name))

    def units(self, kind):
        return sorted(os.listdir(self.folder(kind)))

    def analyze(self, kind, *arguments):
        """As Lab.run, in the folder of the units."""
        if not ROOT and not os.path.exists('/run/systemd'):
            self.skipTest('systemd-analyze makes /run/systemd where systemd does not run, and that needs root')
        return self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', self.folder(kind), 'systemd-analyze', f'--{kind}',
                            '--man=no', *arguments, errors='backslashreplace')

    def verify(self, kind):
        names = [f'./{name.replace("@.", "@endorsement.")}' for name in self.units(kind)]
        for name in self.units(kind):
            if '@.' in name and not os.path.exists(self.folder(kind) + '/' + name.replace('@.', '@endorsement.')):
                os.symlink(name, self.folder(kind) + '/' + name.replace('@.', '@endorsement.'))
        return self.analyze(kind, 'verify', *names)

    def test_they_are_correct(self):
        for kind in ('system', 'user'):
            result = self.verify(kind)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_a_program_that_is_not_there_is_noticed(self):
        """So that the sentence above can fail."""
        self.root = shutil.copytree(self.written, self.lab.path('root'), symlinks=True)
        for kind in ('system', 'user'):
            for name in self.units(kind):
                changed = self.text(kind, name).replace(self.program, '/no/such/program')
                self.lab.write(f'root/etc/systemd/{kind}/{name}', changed)
            self.assertNotEqual(self.verify(kind).returncode, 0)

    def test_the_sandboxes_are_tight(self):
        for kind, name, most in [('user', USER_UNITS[0], 2.0),
                                 *(('system', name, 1.0) for name in (*GENKEYS, *HOST_AGENTS, ATTEST))]:
            printed = self.analyze(kind, 'security', '--offline=true', '--no-pager', './' + name).stdout
            self.assertLessEqual(float(re.search(r'exposure level for \S+: ([0-9.]+)', printed)[1]), most, printed)

    def test_the_programs_may_make_their_own_sandboxes(self):
        agents = [('user', USER_UNITS[0]), *(('system', name) for name in (*HOST_AGENTS, ATTEST))]
        landlock = {f'landlock_{call}' for call in ('create_ruleset', 'add_rule', 'restrict_self')}
        for kind, name, calls in [*((*agent, {'seccomp', *landlock}) for agent in agents),
                                  *(('system', name, {'seccomp'}) for name in GENKEYS)]:
            allowed = self.unit(kind, name).all('SystemCallFilter')[0].split()
            self.assertEqual(set(allowed), {'@system-service', *calls})

    def test_roots_units_and_the_agents_have_one_file_of_known_tpms_that_the_agents_cannot_write(self):
        for name in *HOST_AGENTS, ATTEST:
            unit = self.unit('system', name)
            self.assertEqual(unit.environment(), {'SSH_TPM_KNOWN_TPMS': '/etc/ssh/ssh_tpm_known_tpms'})
            self.assertEqual((unit.one('ProtectSystem'), unit.all('ReadWritePaths')), ('strict', []))
            self.assertEqual((unit.one('User'), unit.all('StateDirectory')),
                             ('ssh-tpm-attest' if name == ATTEST else 'ssh-tpm', []))
        for name in GENKEYS:
            unit = self.unit('system', name)
            self.assertEqual((unit.all('StateDirectory'), unit.all('User'), unit.one('ReadWritePaths')),
                             ([], [], '/etc/ssh'))

    def service(self, name):
        """The lines of the section [Service], with those of one directive together."""
        section = re.search(r'(?ms)^\[Service\]\n(.*?)(?=^\[|\Z)', self.text('system', name)).group(1)
        found = {}
        for line in section.splitlines():
            if '=' in line:
                key, value = line.split('=', 1)
                found.setdefault(key, []).append(value)
        return found

    def test_the_units_for_a_hierarchy_differ_from_those_for_files_only_where_they_must(self):
        for names, expected_to_differ in ((GENKEYS, {'ExecStart'}),
                                          (HOST_AGENTS, {'ExecStart', 'LoadCredential', 'SetCredential'})):
            plain, instance = (self.service(name) for name in names)
            differ = {key for key in {*plain, *instance} if plain.get(key) != instance.get(key)}
            self.assertEqual(differ, expected_to_differ, names)

    def test_the_service_that_answers_checks_has_the_sandbox_of_the_host_keys_agent_and_another_user(self):
        agent, answers = self.service(HOST_AGENTS[0]), self.service(ATTEST)
        differ = {key for key in {*agent, *answers} if agent.get(key) != answers.get(key)}
        self.assertEqual(differ, {'ExecStart', 'LoadCredential', 'SetCredential', 'Type', 'User', 'Group',
                                  'Restart', 'RestartSec', 'WatchdogSec'})
        self.assertNotIn('Restart', answers)
        for key in 'LoadCredential', 'SetCredential':
            self.assertLess(set(agent[key]), set(answers[key]))

    def test_a_file_that_is_missing_has_a_default(self):
        for name in HOST_AGENTS[0], ATTEST:
            unit = self.unit('system', name)
            self.assertEqual(*(sorted(line.split(':')[0] for line in unit.all(key))
                               for key in ('LoadCredential', 'SetCredential')))

    def test_everybody_may_ask_which_boot_this_is_and_root_alone_may_ask_for_signatures(self):
        modes = {name: self.unit('system', name).one('SocketMode') for name in self.units('system')
                 if name.endswith('.socket') and '@endorsement' not in name}
        self.assertEqual(modes, {'ssh-tpm-attest.socket': '0666', 'ssh-tpm-hostkeys.socket': '0600',
                                 'ssh-tpm-hostkeys@.socket': '0600'})

    def test_sshd_s_subsystem_asks_at_the_socket_of_the_service(self):
        socket = self.unit('system', 'ssh-tpm-attest.socket').one('ListenStream')
        line = re.search('(?m)^Subsystem (.*)$', read(os.path.join(SOURCE, 'data/ssh/70-ssh-tpm.conf.in')))[1]
        self.assertEqual(line, f'ssh-tpm-attest @PROGRAM@ attest serve --socket {socket}')

    def test_new_keys_are_read_when_they_are_made_by_hand(self):
        for genkeys, agent in zip(GENKEYS, HOST_AGENTS):
            self.assertIn(f'\nPartOf={genkeys.replace("@", "@%i")}\n', self.text('system', agent))

    def test_keys_are_made_before_sshd_and_their_agent_start(self):
        for genkeys, agent in zip(GENKEYS, HOST_AGENTS):
            before = self.unit('system', genkeys).one('Before').split()
            self.assertLessEqual({agent, 'ssh.service', 'sshd.service'}, set(before))
            self.assertIn(genkeys, self.unit('system', agent).one('After').split())
        # sshd does not wait for the agent of a hierarchy, so its socket wants the .pub files.
        self.assertEqual(self.unit('system', 'ssh-tpm-hostkeys@.socket').one('Wants'), GENKEYS[1])

    @needs_mounts('true')
    def test_keys_are_not_made_beside_those_of_the_other_kind(self):
        """Where both kinds are enabled, neither unit fails: the kind that was first stays."""
        both, public = ('.tpm', '.pub'), ('.pub',)
        for endings, expected_to_run in (((), [True, True]), (both, [True, False]), (public, [False, True]),
                                         (('.tpm',), [True, False])):
            for kinds in (('ecdsa',), ('rsa',), ('ecdsa', 'rsa')):
                folder = self.lab.make_folder('etc-ssh ' + ' '.join((*kinds, *endings)))
                for name in (f'ssh_tpm_host_{kind}_key{ending}' for kind in kinds for ending in endings):
                    self.lab.write(os.path.join(folder, name), '')
                found = []
                for genkeys in GENKEYS:
                    conditions = re.findall('(?m)^Condition.*', self.text('system', genkeys))
                    result = self.lab.run(*WITH_MOUNTS, 'mount --bind "$0" /etc/ssh && exec "$@"', folder,
                                          'systemd-analyze', 'condition', *conditions)
                    self.assertIn('ConditionPathExistsGlob', result.stdout + result.stderr)
                    found.append(result.returncode == 0)
                self.assertEqual(found, expected_to_run, (kinds, endings))

    def test_a_key_generation_that_fails_is_tried_again_for_a_while(self):
        """A TPM's driver may load late; but each try restarts the agent."""
        for name in GENKEYS:
            unit = self.unit('system', name)
            number = {name: int(unit.one(name)) for name in ('RestartSec', 'StartLimitIntervalSec', 'StartLimitBurst')}
            self.assertEqual(unit.one('Restart'), 'on-failure')
            self.assertLess((number['RestartSec'] + 10) * number['StartLimitBurst'], number['StartLimitIntervalSec'])

    def test_an_agent_that_fails_is_started_anew_without_end(self):
        """A service that is given up takes its socket with it."""
        for unit in [self.unit('user', USER_UNITS[0]), *(self.unit('system', name) for name in HOST_AGENTS)]:
            for line in 'Restart=on-failure', 'RestartSec=5', 'StartLimitIntervalSec=0', 'WatchdogSec=60':
                name, value = line.split('=')
                self.assertEqual(unit.one(name), value)

    def test_every_option_of_theirs_is_one_of_the_program(self):
        helps = {}
        for kind in ('system', 'user'):
            for name in self.units(kind):
                for line in re.findall('(?m)^ExecStart=(.*)', self.text(kind, name)):
                    program, applet, *words = shlex.split(line)
                    self.assertEqual(program, ':' + self.program)
                    if applet in COMMANDS:
                        applet += ' ' + words.pop(0)
                    if applet not in helps:
                        helps[applet] = self.lab.run(self.program, *applet.split(), '--help', status=0).stdout
                    for word in (word for word in words if word.startswith('-')):
                        self.assertRegex(helps[applet], rf'(?m)^ .*{word}\b')

    def test_each_spelling_of_the_tree_names_the_program_as_the_tree_does(self):
        self.root = self.lab.make_folder('root')
        program = self.lab.program_in(self.root)
        os.symlink(self.root, self.lab.path('link'))
        self.lab.make_folder('beside')
        for tree in ('root', './root', 'root/', 'beside/../root', self.root + '//', self.lab.path('link'), 'link/',
                     self.lab.path('beside/../link'), '//' + self.root.lstrip('/')):
            with self.subTest(tree):
                shutil.rmtree(self.root + '/etc', ignore_errors=True)
                self.write_all(self.lab, program, tree)
                for kind in ('system', 'user'):
                    texts = ''.join(self.text(kind, name) for name in self.units(kind))
                    self.assertEqual(set(re.findall('(?m)^ExecStart=(\\S+)', texts)), {':"/usr/bin/ssh-tpm"'})

    def test_systemd_finds_the_program_whatever_the_path_has(self):
        """And a shell is given what systemd takes for no program."""
        self.root = self.lab.make_folder('root')
        programs = {}
        for number, name in enumerate(ODD):
            program = link_program(os.path.join(self.lab.make_folder('odd', name), 'ssh-tpm'))
            self.lab.run(program, 'agent', '--install-system', '--force', env={'DESTDIR': self.root}, status=0)
            os.rename(self.folder('user') + '/ssh-tpm-agent.service', self.folder('user') + f'/number{number}.service')
            programs[f'number{number}.service'] = name, program
        result = self.analyze('user', 'verify', *(f'./{unit}' for unit in programs))
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        for unit, (name, program) in programs.items():
            if set(name) & set('"\'\\\udcff'):
                (line,) = re.findall('(?m)^ExecStart=:(.*)', self.text('user', unit))
                words = (word.replace('\\xff', '\udcff') for word in shlex.split(line))
                result = self.lab.run(*words, '--print-socket', status=0)
                self.assertTrue(result.stdout.endswith('ssh-tpm-agent.sock\n'))
            os.unlink(program)
        result = self.analyze('user', 'verify', *(f'./{unit}' for unit in programs))
        self.assertNotEqual(result.returncode, 0)
        for unit, (name, _) in programs.items():
            if not set(name) & set('"\'\\\t\udcff'):  # else the shell is systemd's program, and this one its argument
                self.assertIn(unit, result.stderr)


class UserUnits(Scenario):
    """By somebody who is not root: root's are for all users."""

    def setUp(self):
        super().setUp()
        self.root = os.geteuid() == 0
        self.program = os.path.join(self.lab.program_for_others(), 'ssh-tpm')
        self.home = self.own('person')

    def own(self, name):
        folder = self.lab.make_folder(name)
        if self.root:
            os.chown(folder, NOBODY, NOBODY)
        return folder

    def install(self, *options, env=None, **more):
        env = {'HOME': self.home, 'XDG_CONFIG_HOME': None, **NO_LEAK_CHECK, **(env or {})}
        return self.lab.run(self.program, 'agent', '--install-user-units', *options, env=env,
                            **(AS_NOBODY if self.root else {}), **more)

    def assert_installed(self, folder):
        self.assertEqual(sorted(os.listdir(folder)), list(USER_UNITS))
        for name in USER_UNITS:
            self.assertEqual(mode(os.path.join(folder, name)), 0o644)
        (line,) = re.findall('(?m)^ExecStart=(.*)$', read(os.path.join(folder, USER_UNITS[0])))
        self.assertEqual(line, f':"{self.program}" agent')
        result = self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', folder, 'systemd-analyze', '--user', '--man=no',
                              'verify', *(f'./{name}' for name in USER_UNITS))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_the_folder_is_made(self):
        folder = os.path.join(self.home, '.config/systemd/user')
        result = self.install(status=0)
        self.assertIn('systemctl --user enable --now ssh-tpm-agent.socket', result.stdout)
        self.assertEqual([line for line in result.stdout.splitlines() if line.startswith('wrote ')],
                         [f'wrote {folder}/{name}' for name in USER_UNITS])
        self.assert_installed(folder)

    def test_the_folder_of_configuration_may_be_another_but_not_a_relative_one(self):
        """A relative one is ignored, as the XDG Base Directory Specification says."""
        config = self.own('config')
        self.install(env={'XDG_CONFIG_HOME': config}, status=0)
        self.assert_installed(config + '/systemd/user')
        self.assertEqual(os.listdir(self.home), [])
        self.install(env={'XDG_CONFIG_HOME': 'config'}, status=0)
        self.assert_installed(os.path.join(self.home, '.config/systemd/user'))

    def test_a_changed_unit_is_kept_unless_forced(self):
        self.install(status=0)
        before = contents(self.home)
        self.assertNotIn('wrote', self.install(status=0).stdout)
        path = os.path.join(self.home, '.config/systemd/user', USER_UNITS[0])
        with open(path, 'a', encoding='ascii') as file:
            file.write('# mine\n')
        self.assert_error(self.install(), path, '--force', tool='ssh-tpm-agent')
        self.assertTrue(read(path).endswith('# mine\n'))
        self.install('--force', status=0)
        self.assertEqual(contents(self.home), before)

    @needs_root
    def test_a_home_that_is_somebody_elses_is_an_error(self):
        os.chown(self.home, 0, 0)
        os.chmod(self.home, 0o755)
        self.assert_error(self.install(), self.home, 'Permission denied', tool='ssh-tpm-agent')
        self.assertEqual(os.listdir(self.home), [])


class Install(Scenario):
    def ssh_tpm(self, *arguments, **more):
        return self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *arguments, **more)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if HAS_MESON:
            lab = Lab()
            cls.addClassCleanup(lab.close)
            cls.root, cls.found = cls.install(lab, BUILD)
            (program,) = [path for path in cls.found if path.endswith('/bin/ssh-tpm')]
            cls.prefix = program.removesuffix('/bin/ssh-tpm')

    @staticmethod
    def install(lab, build):
        """@returns the folder that stands for the root, and what lies in it, as absolute paths."""
        root = lab.make_folder('root-' + os.path.basename(build))
        lab.run('meson', 'install', '--no-rebuild', '-C', build, '--destdir', root, status=0,
                     env={'PATH': os.environ['PATH']})
        return root, {os.path.join(path, name).removeprefix(root) for path, _, files in os.walk(root) for name in files}

    def read_what_is_installed(self, root, found, prefix):
        """Links lead to what is there, and units start the program where it is."""
        for path in found:
            self.assertTrue(os.path.exists(root + path), path)
            if path.endswith('.service'):
                self.assertIn(f'\nExecStart=:"{prefix}/bin/ssh-tpm" ', read(root + path))
                self.assertNotIn('@PROGRAM@', read(root + path))
        self.assertIn(f'\nSubsystem ssh-tpm-attest "{prefix}/bin/ssh-tpm" attest serve --socket ',
                      read(f'{root}{prefix}/share/ssh-tpm/sshd_config.d/70-ssh-tpm.conf'))
        for name in ('environment.d/60-ssh-tpm.conf', 'sysusers.d/ssh-tpm.conf', 'tmpfiles.d/ssh-tpm.conf'):
            self.assertNotEqual(read(f'{root}{prefix}/lib/{name}'), '')

    @unittest.skipUnless(HAS_MESON, 'no meson, or a build folder of others')
    def test_everything_is_in_its_place(self):
        if self.prefix == '/usr':
            self.skipTest('this build is for /usr, as that of the next test')
        self.assertEqual(self.found, expected(self.prefix))
        self.read_what_is_installed(self.root, self.found, self.prefix)

    def install_with(self, name, *options):
        """As install, of a build folder of this name with these options."""
        build = self.lab.path(name)
        self.lab.run('meson', 'setup', '-Dtests=false', *options, build, SOURCE, status=0,
                     env={name: os.environ[name] for name in ('PATH', 'CXX') if name in os.environ})
        link_program(os.path.join(build, 'applets/ssh-tpm'))  # not to build it again
        return self.install(self.lab, build)

    @unittest.skipUnless(HAS_MESON, 'no meson, or a build folder of others')
    def test_below_usr_everything_is_where_debian_s_programs_look(self):
        root, found = self.install_with('usr', '--prefix=/usr')
        (socket,) = [path for path in found if path.endswith('/ssh-tpm-hostkeys.socket')]
        self.assertIn(os.path.dirname(socket), ('/lib/systemd/system', '/usr/lib/systemd/system'))
        zsh = 'vendor-completions' if os.path.isdir('/usr/share/zsh/vendor-completions') else 'site-functions'
        self.assertEqual(found, expected('/usr', os.path.dirname(socket), zsh))
        self.read_what_is_installed(root, found, '/usr')

    @unittest.skipUnless(HAS_MESON, 'no meson, or a build folder of others')
    def test_options_of_the_build_move_what_other_programs_read_or_leave_it_out(self):
        options = {'systemd_system_unit_dir': 'lib/systemd/system', 'systemd_user_unit_dir': 'lib/systemd/user',
                   'sysusers_dir': 'lib/sysusers.d', 'tmpfiles_dir': 'lib/tmpfiles.d',
                   'environment_dir': 'lib/environment.d', 'bash_completion_dir': 'share/bash-completion/completions',
                   'zsh_completion_dir': 'share/zsh/site-functions',
                   'fish_completion_dir': 'share/fish/vendor_completions.d'}
        usual = expected('/opt/x')
        _, found = self.install_with('moved', '--prefix=/opt/x', *(f'-D{option}=/etc/{option}' for option in options))
        moved = usual
        for option, folder in options.items():
            moved = {path.replace(f'/opt/x/{folder}/', f'/etc/{option}/') for path in moved}
        self.assertEqual(found, moved)
        _, found = self.install_with('none', '--prefix=/opt/x', *(f'-D{option}=no' for option in options))
        self.assertEqual(found, {path for path in usual
                                 if not path.startswith(tuple(f'/opt/x/{folder}/' for folder in options.values()))})

    @unittest.skipUnless(HAS_MESON and shutil.which('bash'), 'no meson, no bash, or a build folder of others')
    def test_bash_completion_finds_the_installed_file_by_the_name_of_each_link(self):
        loader = '/usr/share/bash-completion/bash_completion'
        if not os.path.exists(loader):
            self.skipTest('no bash-completion')
        for name in ('ssh-tpm', *('ssh-tpm-' + applet for applet in APPLETS)):
            self.lab.run('bash', '--norc', '-c', f'source {loader}; _completion_loader "$1"; complete -p "$1"', 'bash',
                         name, status=0, env={'XDG_DATA_DIRS': self.root + self.prefix + '/share'})

    @unittest.skipUnless(HAS_MESON, 'no meson, or a build folder of others')
    def test_meson_installs_the_program_and_its_links_and_they_run_from_there(self):
        folder = self.root + self.prefix + '/bin'
        for applet in APPLETS:
            link = os.path.join(folder, 'ssh-tpm-' + applet)
            self.assertTrue(os.path.islink(link), link)
            self.assertEqual(os.readlink(link), 'ssh-tpm')
            result = self.lab.run(link, '--help', status=0)
            self.assertIn('ssh-tpm-' + applet, result.stdout)
        version = self.lab.run(os.path.join(folder, 'ssh-tpm'), '--version', status=0)
        self.assertRegex(version.stdout, r'\d+\.\d+\.\d+')

    def test_the_name_and_the_first_word_choose_the_same_applet_and_its_errors_name_it(self):
        for applet in APPLETS:
            for options, status, words in (('--help',), 0, 'usage'), (('--absent',), 2, f'ssh-tpm-{applet}: error: '):
                by_word = self.ssh_tpm(applet, *options, status=status)
                by_name = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm-' + applet), *options, status=status)
                self.assertEqual((by_word.stdout, by_word.stderr), (by_name.stdout, by_name.stderr))
                self.assertIn(words, (by_word.stdout + by_word.stderr).lower())

    def test_alone_and_with_help_it_lists_the_applets(self):
        for arguments in ((), ('help',), ('--help',), ('-h',)):
            result = self.ssh_tpm(*arguments, status=0)
            for applet in APPLETS:
                self.assertRegex(result.stdout + result.stderr, rf'\b{applet}\b')

    def test_an_unknown_applet_is_a_usage_error_that_names_the_nearest_as_a_word_or_a_name(self):
        os.symlink(os.path.join(self.lab.bin, 'ssh-tpm'), link := self.lab.path('ssh-tpm-kegen'))
        for result in self.ssh_tpm('\x1b[2Jkeygne'), self.lab.run(link):
            self.assertEqual((result.returncode, result.stdout), (2, ''))
            self.assertRegex(result.stderr, r'\bkeygen\b')
            self.assertNotIn('\x1b', result.stderr)

    def test_standard_descriptors_that_are_closed_do_no_harm(self):
        victim = self.lab.write('victim', 'precious')
        program = os.path.join(self.lab.bin, 'ssh-tpm-keygen')
        self.lab.run('sh', '-c', f'exec 0<&- 1>&- 2>&-; "{program}" -l -f "{victim}"; true', status=0)
        self.assertEqual(read(victim), 'precious')


if __name__ == '__main__':
    unittest.main()
