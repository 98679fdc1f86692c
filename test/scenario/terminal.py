# SPDX-License-Identifier: MIT
"""A program on a terminal of its own, and a person who reads what it shows and types."""

import os
import select
import subprocess
import termios
import time

from lab import DEADLINE, read, wait_until

# Without line editing a shell leaves the terminal's modes to the programs that it runs.
SHELLS = {'dash': ('dash', '-i'), 'bash': ('bash', '--norc', '--noprofile', '--noediting', '-i'),
          'bash that edits': ('bash', '--norc', '--noprofile', '-i')}


class Terminal:
    """Runs a program with a pseudo-terminal as its controlling terminal, and talks with it."""

    def __init__(self, lab, *argv, env=None):
        self.master, self.slave = os.openpty()
        # setsid(1) makes the terminal the controlling one and then becomes the program: same process id.
        self.popen = subprocess.Popen(['setsid', '--ctty', *argv], stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, env=lab.merged(env), cwd=lab.folder)
        self.ended = os.pidfd_open(self.popen.pid)
        self.transcript = ''
        self._unread = ''

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        for descriptor in (self.master, self.slave, self.ended):
            os.close(descriptor)

    def _read(self, end):
        """Reads once; false when the program has ended and all is read."""
        ready, _, _ = select.select([self.master, self.ended], [], [], max(0, end - time.monotonic()))
        if ready == [self.ended]:  # the terminal was looked at first: what it wrote last may have come since
            ready += select.select([self.master], [], [], 0)[0]
        if self.master in ready:
            text = os.read(self.master, 65536).decode(errors='backslashreplace').replace('\r\n', '\n')
            self.transcript += text
            self._unread += text
        elif not ready:
            raise AssertionError(f'nothing more on the terminal in time:\n{self.transcript}')
        return self.master in ready

    def read_until(self, *texts, deadline=DEADLINE):
        """Waits for one of `texts` and returns all up to its end that was not returned before."""
        end = time.monotonic() + deadline
        while not any(text in self._unread for text in texts):
            if not self._read(end):
                raise AssertionError(f'ended without saying any of {texts}:\n{self.transcript}')
        cut = min(self._unread.index(text) + len(text) for text in texts if text in self._unread)
        seen, self._unread = self._unread[:cut], self._unread[cut:]
        return seen

    def type(self, text):
        os.write(self.master, text.encode())

    def hang_up(self):
        """The terminal goes away, as its window does when it is closed."""
        os.close(self.master)
        self.master = os.open('/dev/null', os.O_RDWR)

    def echoes(self):
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def interrupt(self):
        """Types Ctrl-C as a person would: after the program has begun to wait for its input."""
        wait_until(lambda: read(f'/proc/{self.popen.pid}/stat').split(') ')[1][0] == 'S', 'a waiting program')
        self.type('\x03')

    def answer(self, prompt, text, deadline=DEADLINE):
        """Waits for the prompt and types a line; returns whether the terminal was echoing then."""
        self.read_until(prompt, deadline=deadline)
        echo = self.echoes()
        self.type(text + '\n')
        return echo

    def finish(self, deadline=DEADLINE):
        """Reads to the end; the exit status."""
        end = time.monotonic() + deadline
        while self._read(end):
            pass
        return self.popen.wait(deadline)


def talk(lab, *argv, answers=(), env=None):
    """Runs a program through a dialogue of (prompt, answer); its status and what the terminal showed."""
    with Terminal(lab, *argv, env=env) as terminal:
        for prompt, answer in answers:
            terminal.answer(prompt, answer)
        status = terminal.finish()
        return status, terminal.transcript


class Shell(Terminal):
    """An interactive one, with the ids of what it runs."""

    def __init__(self, lab, *argv):
        super().__init__(lab, *argv, env={'PS1': 'READY> ', 'ENV': None})
        self.commands = 0
        self.edits = 'bash' in argv and '--noediting' not in argv

    def run(self, line):
        self.read_until('READY> ')
        self.type(line + '\n')

    def look(self, echo=True):
        """Types a command, to see that it is shown and done."""
        self.commands += 1
        self.run(f': seen-{self.commands}; echo done-$(({self.commands}))')
        if echo:
            self.read_until(f': seen-{self.commands}')
        self.read_until(f'done-{self.commands}\n')
        if echo and not self.edits:
            wait_until(self.echoes, 'the echo')

    def child(self, parent=None):
        """The one program that it runs, or that such a program runs."""
        parent = parent or self.popen.pid

        def ids():
            return read(f'/proc/{parent}/task/{parent}/children').split()
        return int(wait_until(lambda: len(ids()) == 1 and ids(), 'a program in the shell')[0])

    def wait_stopped(self, pid):
        """A program, and the one around it, whose stop the shell waits for."""
        wait_until(lambda: is_stopped(pid) and is_stopped(self.child()), 'the stop')


def status(pid):
    """The fields of /proc/PID/stat from the third one, the state."""
    return read(f'/proc/{pid}/stat').rpartition(') ')[2].split()


def is_running(pid):
    """False for a zombie, too."""
    try:
        return status(pid)[0] != 'Z'
    except FileNotFoundError:
        return False


def is_stopped(pid):
    """True once each of its threads has stopped: before, the kernel does not count the process as a stopped one."""
    return all(status(f'{pid}/task/{thread}')[0] == 'T' for thread in os.listdir(f'/proc/{pid}/task'))


def has_ended(pid):
    try:
        return status(pid)[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


def foreground(pid):
    """The process group that may use its terminal."""
    return int(status(pid)[5])
