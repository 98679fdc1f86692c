# SPDX-License-Identifier: MIT
"""The lab of every scenario: a folder and a home of its own, the tools run in it, and an end for all of it.

A scenario is a black-box run of the built tools together with the real OpenSSH, OpenSSL and tpm2-tools. It
reads two variables: SSH_TPM_BIN, the folder with `ssh-tpm` and its links, and SSH_TPM_TCTI_PROBE, the
counting TCTI. Every wait has a deadline, every process is ended by its id, and the home of the person who
runs it is not touched.
"""

import atexit
import base64
import collections
import ctypes
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

from process import DEADLINE, Process

NOBODY = 65534
# For Popen, to be another user. LeakSanitizer needs ptrace, which nobody but root has of hardened processes.
AS_NOBODY = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}
NO_LEAK_CHECK = {'ASAN_OPTIONS': 'detect_leaks=0'}
KINDS = (('ecdsa', 256), ('ecdsa', 384), ('ecdsa', 521), ('rsa', 2048), ('rsa', 3072))
PR_SET_CHILD_SUBREAPER = 36  # prctl(2): what daemonizes becomes our child, so that the lab can end it

Key = collections.namedtuple('Key', 'path tpm pub line algorithm blob comment')

open_labs = []
program_copies = []  # one at the most

ROOT = os.geteuid() == 0
needs_root = unittest.skipUnless(ROOT, 'needs root')
WITH_MOUNTS = ('unshare', '-m' if ROOT else '-rm', 'sh', '-c')  # runs a script with mounts of its own, as root


def needs_mounts(script):
    """For tests that mount in a namespace of their own, which not every container and not every kernel allows: `script`
    tries it."""
    return unittest.skipUnless(subprocess.run((*WITH_MOUNTS, script), capture_output=True, check=False).returncode == 0,
                               'no mounts here')


# What takes minutes, or is measured in time: `test/check all` sets the variable.
ALL = bool(os.environ.get('SSH_TPM_TEST_ALL'))
slow = unittest.skipUnless(ALL, 'slow: test/check all runs it')
SHORT_LIMITS = os.environ.get('SSH_TPM_TEST_LIMITS_BUILT') == '1' and not ALL


def wait_until(condition, what, deadline=DEADLINE, pace=0.02):
    """Calls `condition`, every `pace` seconds, until it returns something true, which is returned."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited {deadline} s in vain: {what}')
        time.sleep(pace)


def read(path, newline=None):
    """The text of a file; with newline='' its line ends as they are."""
    with open(path, encoding='utf-8', newline=newline) as file:
        return file.read()


def contents(folder):
    """What lies in a folder and below it, by name: to show that nothing changed. Of the program, which has a
    hundred megabytes with its debugging symbols, that is its size and time."""
    found = {}
    for place, folders, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in folders + names):
            found[path] = None
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and os.path.basename(path) == 'ssh-tpm':
                found[path] = status.st_size, status.st_mtime_ns
            elif stat.S_ISREG(status.st_mode):
                with open(path, 'rb') as file:
                    found[path] = file.read()
    return found


def link_program(path):
    """Makes `path` the program, a link to one copy for all labs."""
    if not program_copies:
        folder = tempfile.mkdtemp(prefix='st-', dir='/tmp')
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        program_copies.append(shutil.copy(os.path.join(os.environ['SSH_TPM_BIN'], 'ssh-tpm'), folder))
        os.chmod(program_copies[0], 0o755)
    if not os.path.exists(path):
        os.link(program_copies[0], path)
    return path


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def read_key(path):
    """The key whose files are PATH.tpm and PATH.pub."""
    line = read(path + '.pub').rstrip('\n')
    algorithm, blob, *comment = line.split(' ', 2)
    return Key(path, path + '.tpm', path + '.pub', line, algorithm, base64.b64decode(blob), ''.join(comment))


def unwrapped(text):
    """The text with each hint in one line; its other lines begin with two spaces."""
    return re.sub(r'(?m)^hint: .*(?:\r?\n  .*)+', lambda hint: re.sub(r'\r?\n  ', ' ', hint[0]), text)


class Lab:
    """A folder under /tmp (its path is short: a UNIX socket's name has 107 bytes) and what runs in it."""

    def __init__(self):
        self.bin = os.environ['SSH_TPM_BIN']
        self.folder = tempfile.mkdtemp(prefix='st-', dir='/tmp')
        os.chmod(self.folder, 0o711)
        self.home, self.keys = self.make_folder('home'), self.make_folder('keys')
        self.processes = []
        self.no_tpm = {'SSH_TPM_TCTI': f'device:{self.folder}/no-such-device'}
        self.env = {'PATH': f'{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin',
                    'HOME': self.home, 'LANG': 'C.UTF-8', 'TERM': 'dumb', 'USER': 'tester',
                    'XDG_RUNTIME_DIR': self.make_folder('run'), 'XDG_STATE_HOME': self.make_folder('state')}
        self.env.update({name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')})
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # nohup and "&" have them ignored
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        open_labs.append(self)
        signal.signal(signal.SIGTERM, leave_at_once)

    def limit(self, name, short, real):
        """Changes one of the program's limits of time (src/base/time_limits.hpp), unless this is `test/check all` or
        a build that knows no other than the real one. Returns the limit, in seconds."""
        if not SHORT_LIMITS:
            return real
        given = self.env.get('SSH_TPM_TEST_LIMITS', '')
        self.env['SSH_TPM_TEST_LIMITS'] = f'{given} {name}={round(short * 1000)}'
        return short

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_folder(self, *names):
        os.makedirs(self.path(*names), mode=0o700, exist_ok=True)
        return self.path(*names)

    def write(self, name, content, mode=0o644):
        """Writes a file of the lab and returns its path."""
        path = self.path(name)
        with open(path, 'wb') as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def merged(self, env):
        """The lab's environment with changes; a value of None takes a variable away."""
        return {name: value for name, value in {**self.env, **(env or {})}.items() if value is not None}

    def run(self, *argv, env=None, stdin=None, status=None, deadline=DEADLINE, **options):
        """Runs a program to its end, without a terminal; demands an exit status if `status` is given. Hints are in one
        line each in the result; test/cli/report.cpp has how they are wrapped."""
        feed = {'stdin': subprocess.DEVNULL} if stdin is None else {'input': stdin}
        options.setdefault('text', True)
        result = subprocess.run(argv, env=self.merged(env), cwd=self.folder, timeout=deadline,
                                capture_output=True, start_new_session=True, **feed, **options)
        if options['text']:
            result.stderr = unwrapped(result.stderr)
        if status is not None and result.returncode != status:
            raise AssertionError(f'{" ".join(argv)}: exit status {result.returncode}, not {status}\n'
                                 f'{result.stdout}\n{result.stderr}')
        return result

    def start(self, *argv, env=None, **options):
        """Starts a program that is ended with the lab at the latest."""
        process = Process(argv, env=self.merged(env), cwd=self.folder, **options)
        self.processes.append(process)
        return process

    def keygen(self, *options, status=0, **more):
        return self.run(f'{self.bin}/ssh-tpm-keygen', *options, status=status, **more)

    def make_key(self, name='id', kind='ecdsa', bits=256, pin='', comment=None, folder=None, **more):
        """A key in `folder` (the lab's `keys` unless told otherwise)."""
        path = os.path.join(folder or self.keys, name)
        self.keygen('-q', '-t', kind, '-b', str(bits), '-N', pin, '-C', name if comment is None else comment,
                    '-f', path, **more)
        return read_key(path)

    def ssh_keygen(self, *options, **more):
        """What the real ssh-keygen prints; it must succeed."""
        return self.run('ssh-keygen', *options, status=0, **more).stdout

    def fingerprint(self, key):
        return self.ssh_keygen('-l', '-f', key.pub).split()[1]

    def public_pem(self, key):
        """The public key as OpenSSL knows it."""
        return self.ssh_keygen('-e', '-m', 'PKCS8', '-f', key.pub)

    def program_for_others(self):
        """A copy of the program that any user may run: the build folder may be out of their reach."""
        folder = self.path('bin')
        if not os.path.exists(folder):
            os.mkdir(folder)
            link_program(os.path.join(folder, 'ssh-tpm'))
            for applet in ('keygen', 'agent'):
                os.symlink('ssh-tpm', os.path.join(folder, 'ssh-tpm-' + applet))
            os.chmod(folder, 0o755)
        return folder

    def program_in(self, tree):
        """A copy of the program in usr/bin of a tree, which is where its units start it from."""
        folder = os.path.join(tree, 'usr/bin')
        os.makedirs(folder, mode=0o755, exist_ok=True)
        for path in (tree, os.path.dirname(folder), folder):
            os.chmod(path, 0o755)
        return link_program(os.path.join(folder, 'ssh-tpm'))

    def close(self):
        for process in reversed(self.processes):
            process.end()
        end_children()
        shutil.rmtree(self.folder, ignore_errors=True)
        open_labs.remove(self)


def children():
    """The ids of this process's children, those it inherited included."""
    while True:
        try:
            ids = []
            for thread in os.listdir('/proc/self/task'):
                with open(f'/proc/self/task/{thread}/children', encoding='ascii') as file:
                    ids += map(int, file.read().split())
            return ids
        except (FileNotFoundError, ProcessLookupError):
            pass  # a thread has ended since they were listed; its children went to another one


def end_children():
    """Ends what the lab's processes left behind, generation after generation."""
    end = time.monotonic() + 10
    while (left := children()) and time.monotonic() < end:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def leave_at_once(*unused):
    """What a test runner's time limit sends: nothing may stay behind then either."""
    end_children()
    for folder in [lab.folder for lab in open_labs] + list(map(os.path.dirname, program_copies)):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


class Scenario(unittest.TestCase):
    """One behaviour, with a lab for each of its sentences. A failure shows what the processes said."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def run(self, result=None):
        bad_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > bad_before and hasattr(self, 'lab'):
            for process in self.lab.processes:
                print(f'--- {" ".join(process.argv)}\n{process.log()}', file=sys.stderr)
        return result

    def connect(self, agent, count):
        """Connections that are closed at the end of the test."""
        connections = [agent.connect() for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.socket.close)
        return connections

    def assert_error(self, result, *words, status=1, tool='ssh-tpm-keygen'):
        """A refusal: the exit status, a line of the form `tool: error: …`, and each of `words`."""
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertRegex(result.stderr, rf'(?m)^{tool}: error: .')
        for word in words:
            self.assertIn(word, result.stderr)
