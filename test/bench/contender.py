# SPDX-License-Identifier: MIT
"""What the benchmarks share: where the programs lie, the programs that measure, an agent as a process."""

import getopt
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.setdefault('SSH_TPM_BUILD', os.path.join(ROOT, 'build'))  # modules of test/scenario want it
PROGRAMS = os.path.join(BUILD, 'test', 'bench')
os.environ['SSH_TPM_BIN'] = os.path.join(BUILD, 'applets')
os.environ['SSH_TPM_TCTI_PROBE'] = os.path.join(BUILD, 'test', 'support', 'tcti-probe.so')
sys.path.insert(0, os.path.join(ROOT, 'test', 'scenario'))


def missing_programs(tool):
    """True, and said, when the build folder has no benchmarks in it."""
    if os.path.exists(os.path.join(PROGRAMS, 'bench-client')):
        return False
    print(f'{tool}: error: no benchmark programs in {PROGRAMS}\n'
          f'hint: meson setup {BUILD} && ninja -C {BUILD}', file=sys.stderr)
    return True


def times_asked_for(tool, documentation, default):
    """The number behind -n. Ends the program for --help, and for what it does not understand."""
    try:
        options, rest = getopt.getopt(sys.argv[1:], 'hn:', ['help'])
        times = int(dict(options).get('-n', default))
    except (getopt.GetoptError, ValueError) as error:
        print(f'{tool}: error: {error}', file=sys.stderr)
        sys.exit(2)
    if {'-h', '--help'} & dict(options).keys() or rest or times < 1:
        print(documentation.strip(), file=sys.stderr if rest else sys.stdout)
        sys.exit(2 if rest or times < 1 else 0)
    if missing_programs(tool):
        sys.exit(1)
    return times


def line_of(widths, cells):
    print(' '.join(f'{cell:{width}}' for cell, width in zip(cells, widths)).rstrip(), flush=True)


def software_agent(lab, socket, *keys):
    """OpenSSH's agent with these keys; it says where it listens once it does."""
    lab.start('ssh-agent', '-D', '-a', socket).wait_line('SSH_AUTH_SOCK=')
    lab.run('ssh-add', '-q', *keys, env={'SSH_AUTH_SOCK': socket}, status=0)


class Contender:
    """One of the measuring programs, which answers each line with a line."""

    def __init__(self, lab, program, *arguments):
        self.popen = subprocess.Popen([os.path.join(PROGRAMS, program), *map(str, arguments)], env=lab.env,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        print(line, file=self.popen.stdin, flush=True)

    def answer(self):
        return self.popen.stdout.readline().rstrip('\n')

    def rate(self, seconds):
        self.ask(seconds)
        return float(self.answer())

    def end(self):
        self.popen.communicate(timeout=10)


class Load(Contender):
    """bench-load: `figures` are what its line says, by name."""

    def __init__(self, lab, agent):
        super().__init__(lab, 'bench-load', agent.socket)

    def figures(self):
        line = self.answer()
        if not line or line.startswith('error='):
            raise RuntimeError(line.partition('=')[2] or 'bench-load has ended')
        return {name: float(number) for name, number in (pair.split('=') for pair in line.split())}

    def do(self, *words):
        self.ask(' '.join(map(str, words)))
        return self.figures()


class Server:
    """An agent of either kind; its log goes to a file, because it may be long."""

    def __init__(self, lab, name, *argv, env=None, limit=None):
        self.socket, self.log_file = lab.path(name + '.sock'), lab.path(name + '.log')
        argv = [word.replace('SOCKET', self.socket) for word in argv]
        if limit:
            argv = ['prlimit', f'--nofile={limit}:{limit}', *argv]
        with open(self.log_file, 'wb') as log:
            self.popen = subprocess.Popen(argv, env=lab.merged(env), cwd=lab.folder, text=True,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                          start_new_session=True)
        self.pid = self.popen.pid
        lab.processes.append(self)
        # Both say where they listen once they do.
        while 'SSH_AUTH_SOCK=' not in (line := self.popen.stdout.readline()):
            if not line:
                raise RuntimeError(f'{argv} did not start:\n{self.log()}')

    def log(self):
        with open(self.log_file, encoding='utf-8', errors='backslashreplace') as log:
            return log.read(10000)

    def alive(self):
        return self.popen.poll() is None

    def end(self):
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.popen.stdout.close()
