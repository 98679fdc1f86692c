#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is installed, by meson and by ssh-tpm: into a tree as debootstrap makes one, which serves logins from there, and
below a prefix that means something to systemd."""

import os
import shlex
import shutil
import unittest

from agent import Agent
from hierarchy import KINDS, know, login, read_public
from lab import NO_LEAK_CHECK, WITH_MOUNTS, Scenario, contents, mode, needs_mounts, needs_root, read, wait_until
from manager import Unit, load_credentials
from softkey import SoftKey
from sshd import free_port
from stock import WithTpm

SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
ALGORITHMS = 'ecdsa-sha2-nistp256', 'rsa-sha2-512'
UNITS = ('ssh-tpm-attest.socket', 'ssh-tpm-attest.service', 'ssh-tpm-genkeys.service', 'ssh-tpm-hostkeys.socket',
         'ssh-tpm-hostkeys.service', 'ssh-tpm-genkeys@endorsement.service', 'ssh-tpm-hostkeys@endorsement.socket',
         'ssh-tpm-hostkeys@endorsement.service')
# /usr is this system's, under a layer of the tree's own; the rest is new. $0 is the tree, $1 the lab's folder.
TREE = '''set -e
mount -t tmpfs -o mode=755 tmpfs "$0" && cd "$0"
mkdir -p .layer/usr .layer/work usr proc dev run/sshd tmp var/lib root etc/ssh/sshd_config.d etc/systemd/system ./"$1"
mount -t overlay -o lowerdir=/usr,upperdir=.layer/usr,workdir=.layer/work overlay usr
for name in bin sbin lib lib64; do
    if [ -L /$name ]; then ln -s usr/$name $name; elif [ -d /$name ]; then mkdir $name; mount --bind /$name $name; fi
done
for name in passwd group nsswitch.conf ld.so.cache; do [ ! -e /etc/$name ] || cp /etc/$name etc; done
mount --rbind /proc proc && mount --rbind /dev dev && mount --bind "$1" ./"$1"
echo ready
exec sleep infinity'''


# Whether the kernel lets us mount one folder over another.
LAYER = 'mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w && mount -t overlay -o lowerdir=/usr,upperdir=/mnt/u,' \
        'workdir=/mnt/w o /usr'


@unittest.skipUnless(shutil.which('meson') and 'SSH_TPM_BUILD' in os.environ, 'no meson, no build folder')
@needs_root
@needs_mounts(LAYER)
class Image(WithTpm):
    def setUp(self):
        super().setUp()
        self.user = SoftKey(self.lab, self.lab.path('user'))
        self.tree = self.lab.make_folder('tree')
        self.holder = self.lab.start(*WITH_MOUNTS, TREE, self.tree, self.lab.folder)
        self.holder.wait_line('ready')
        # Without -r and -w, tests that run in a chroot would leave it.
        self.outside = ('nsenter', '-m', '-r', '-w', '-t', str(self.holder.pid))
        self.inside = (*self.outside, 'chroot', self.tree)
        # The tree as it is seen from out here.
        self.seen = f'/proc/{self.holder.pid}/root{self.tree}'
        users = read(self.seen + '/etc/passwd').splitlines()
        self.write('etc/shadow', ''.join(user.split(':')[0] + ':*:19000:0:99999:7:::\n' for user in users))
        self.port = free_port()
        self.write('etc/ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\n'
                   f'ListenAddress 127.0.0.1:{self.port}\nAuthorizedKeysFile {self.user.pub}\nPidFile none\n'
                   'StrictModes no\nPermitRootLogin yes\nUsePAM no\n')

    def write(self, name, text):
        with open(os.path.join(self.seen, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def run_inside(self, *argv, status=0, **more):
        return self.lab.run(*self.inside, *argv, status=status, **more)

    def meson_install(self):
        build = self.lab.path('build')
        env = {name: os.environ[name] for name in ('PATH', 'CXX') if name in os.environ}
        self.lab.run('meson', 'setup', '--prefix=/usr', '-Dtests=false', build, SOURCE, status=0, env=env, deadline=300)
        shutil.copy(os.path.join(self.lab.bin, 'ssh-tpm'), os.path.join(build, 'applets'))  # not to build it again
        self.lab.run(*self.outside, 'meson', 'install', '--no-rebuild', '-C', build, '--destdir', self.tree, status=0,
                     env=env)

    def id_of(self, database, name):
        return int(self.run_inside('getent', database, name).stdout.split(':')[2])

    def make_users(self):
        """What sysusers.d and tmpfiles.d say, and a TPM that is for the group tss alone."""
        self.run_inside('systemd-sysusers', 'ssh-tpm.conf')
        self.run_inside('systemd-tmpfiles', '--create', 'ssh-tpm.conf')
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.chown(path, 0, self.id_of('group', 'tss'))
            os.chmod(path, 0o660)

    def verify_units(self):
        result = self.run_inside('systemd-analyze', '--man=no', 'verify', *UNITS, status=None)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def unit(self, name):
        """As systemd finds it: /etc comes first."""
        for folder in 'etc/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system':
            if os.path.exists(os.path.join(self.seen, folder, name)):
                return Unit(os.path.join(self.seen, folder, name))
        raise AssertionError(f'no unit {name} in the tree')

    def become(self, unit):
        groups = [str(self.id_of('group', group)) for group in unit.one('SupplementaryGroups').split()]
        names = unit.all('User')
        who = [f'--reuid={self.id_of("passwd", names[0])}', f'--regid={self.id_of("group", names[0])}'] if names else []
        return ('setpriv', *who, '--groups=' + ','.join(groups), '--bounding-set=-all', '--inh-caps=-all',
                '--no-new-privs')

    def environment(self, unit):
        return {**dict.fromkeys(('HOME', 'USER', 'XDG_RUNTIME_DIR')), **NO_LEAK_CHECK, **unit.environment()}

    def make_keys(self):
        unit = self.unit('ssh-tpm-genkeys.service')
        self.run_inside(*self.become(unit), *unit.command(), env=self.environment(unit),
                        umask=int(unit.one('UMask'), 8))

    def start_agent(self):
        unit, socket = self.unit('ssh-tpm-hostkeys.service'), self.unit('ssh-tpm-hostkeys.socket').one('ListenStream')
        credentials = self.lab.make_folder('credentials')
        load_credentials(unit, self.seen, credentials, self.id_of('passwd', unit.one('User')))
        env = self.lab.merged(self.environment(unit))
        agent = Agent.__new__(Agent)
        agent.lab, agent.socket = self.lab, self.seen + socket
        agent.process = self.lab.start(*self.inside, 'systemd-socket-activate',
                                       *(f'-E{name}={value}' for name, value in env.items()), '-l', socket,
                                       *self.become(unit), *unit.command(d=credentials))
        agent.process.wait_line('Listening on')
        return agent

    def start_sshd(self):
        server = self.lab.start(*self.inside, '/usr/sbin/sshd', '-D', '-e')
        server.wait_line('Server listening on 127.0.0.1')
        return server

    def assert_logins(self):
        """With both host keys, which the client knows and insists on; into the tree, and not beside it."""
        self.write('root/here', 'the tree\n')
        keys = [read_public(self.seen, kind) for kind in KINDS]
        known = know(self.lab, self, *keys)
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm):
                result = login(self.lab, self, self.user, known, '-v', '-o', f'HostKeyAlgorithms={algorithm}',
                               command='cat /root/here')
                self.assertEqual((result.returncode, result.stdout), (0, 'the tree\n'), result.stderr)
                self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)

    def serve(self):
        self.make_users()
        self.verify_units()
        self.run_inside('systemctl', 'enable', 'ssh-tpm-genkeys.service', 'ssh-tpm-hostkeys.socket')
        self.make_keys()
        agent = self.start_agent()
        self.run_inside('ssh-tpm', 'hostkeys', '--install-sshd-config')
        self.check_logins(agent)

    def check_logins(self, agent):
        server = self.start_sshd()
        self.assert_logins()
        self.assertEqual(self.run_inside('ssh-tpm', 'hostkeys', '--check').stderr, '')
        server.end()
        agent.process.end()
        os.unlink(agent.socket)
        wait_until(lambda: not self.tpm.handles(), 'a TPM without handles')

    def recover(self):
        """The agent knows the storage key that root has accepted."""
        self.tpm.tool('tpm2_clear')
        self.run_inside('ssh-tpm', 'hostkeys', '--renew', '--yes')
        agent = self.start_agent()
        self.check_logins(agent)
        self.assertNotIn('not remembered', agent.log())

    def test_installed_by_meson(self):
        self.meson_install()
        self.serve()
        wants = self.seen + '/etc/systemd/system/sockets.target.wants/ssh-tpm-hostkeys.socket'
        self.assertRegex(os.readlink(wants), r'/lib/systemd/system/ssh-tpm-hostkeys\.socket$')
        os.unlink(self.seen + '/usr/bin/ssh-tpm')  # so that verifying can fail
        self.assertNotEqual(self.run_inside('systemd-analyze', '--man=no', 'verify', *UNITS, status=None).returncode, 0)

    def test_installed_by_the_program_itself(self):
        shutil.copy(os.path.join(self.lab.bin, 'ssh-tpm'), self.seen + '/usr/bin')
        os.chmod(self.seen + '/usr/bin/ssh-tpm', 0o755)
        from_outside = self.install_from_outside()
        self.run_inside('ssh-tpm', 'hostkeys', '--install-system-units')
        self.serve()
        self.recover()
        self.assertEqual(shlex.split(self.unit('ssh-tpm-genkeys.service').one('ExecStart'))[0], ':/usr/bin/ssh-tpm')
        for path, written in from_outside.items():
            with open(path, 'rb') as file:
                self.assertEqual((file.read(), mode(path)), written, path)

    def install_from_outside(self):
        """As for an image: DESTDIR, and the program of the tree run by this system. What it wrote, which is removed."""
        before = contents(self.seen + '/etc')
        self.lab.run(*self.outside, self.tree + '/usr/bin/ssh-tpm', 'hostkeys', '--install-system-units',
                     '--install-sshd-config', env={'DESTDIR': self.tree}, status=0)
        found = {path: (content, mode(path)) for path, content in contents(self.seen + '/etc').items()
                 if path not in before and content is not None}
        self.assertGreaterEqual(len(found), len(UNITS) + 3)
        for path in found:
            os.unlink(path)
        return found


@unittest.skipUnless(shutil.which('meson') and shutil.which('systemd-analyze'), 'no meson, or no systemd')
class OddPrefix(Scenario):
    """The units of a build whose prefix has characters that mean something to systemd."""

    def configure(self, prefix):
        """A build of what is installed beside the program: its folder alone, since a compiler takes long to look at."""
        self.prefix, self.build = self.lab.path(prefix), self.lab.path('build')
        source = self.lab.make_folder('source')
        self.lab.write('source/meson.build', "project('odd', version: '1')\nsubdir('data')\n")
        for name in ('data', 'meson_options.txt'):
            if not os.path.exists(os.path.join(source, name)):
                os.symlink(os.path.join(SOURCE, name), os.path.join(source, name))
        return self.lab.run('meson', 'setup', '--prefix', self.prefix, self.build, source,
                            env={'PATH': os.environ['PATH']}, deadline=300)

    def verify(self):
        folder = self.lab.make_folder('build', 'units')
        for name in ('ssh-tpm-agent.service', 'ssh-tpm-agent.socket'):
            built = os.path.join(self.build, 'data', name)
            shutil.copy(built if os.path.exists(built) else f'{SOURCE}/data/systemd/user/{name}', folder)
        return self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', folder, 'systemd-analyze', '--user', '--man=no',
                            'verify', './ssh-tpm-agent.service')

    def test_blanks_and_what_systemd_would_replace_are_part_of_the_path(self):
        result = self.configure('per%cent%d dol$lar ${HOME} ümläut;x')
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        program = os.path.join(self.prefix, 'bin/ssh-tpm')
        os.makedirs(os.path.dirname(program))
        shutil.copy(self.lab.bin + '/ssh-tpm', program)
        result = self.verify()
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        os.unlink(program)
        self.assertNotEqual(self.verify().returncode, 0)

    def test_a_path_that_is_no_programs_for_systemd_is_refused(self):
        for prefix in ('quo"te', "apo'strophe", 'back\\slash', 'new\nline'):
            with self.subTest(prefix):
                result = self.configure(prefix)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stdout + result.stderr, 'ERROR: .*systemd takes no program')
                shutil.rmtree(self.build)


if __name__ == '__main__':
    unittest.main()
