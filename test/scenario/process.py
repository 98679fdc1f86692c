# SPDX-License-Identifier: MIT
"""A program that runs beside a scenario, and what it says."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time

DEADLINE = 60  # seconds; generous, since sanitizer builds on a busy machine are slow


class Process:
    """A running program whose output is read as it comes."""

    def __init__(self, argv, **options):
        self.argv = argv
        self._lines = []
        self._begun = b''  # a line that has not come whole
        self._news = threading.Condition()
        self._ended = False
        self.last_signal = signal.SIGTERM
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True, **options)
        self.pid = self.popen.pid
        os.set_blocking(self.popen.stdout.fileno(), False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.popen.stdout as stream:
            while not self._ended:
                select.select([stream], [], [])
                self._take()

    def _take(self):
        """Reads what the program has written up to now."""
        with self._news:
            while not self._ended:
                try:
                    data = os.read(self.popen.stdout.fileno(), 65536)
                except BlockingIOError:
                    return
                *whole, self._begun = (self._begun + data).split(b'\n')
                if not data:
                    self._ended = True
                    whole = [self._begun] if self._begun else []
                self._lines += [line.decode(errors='backslashreplace') for line in whole]
                self._news.notify_all()

    @property
    def lines(self):
        """What it has written up to now: what it said before it answered is there."""
        self._take()
        return self._lines

    def wait_line(self, text, deadline=DEADLINE):
        """Waits for a line with `text` and returns it."""
        end = time.monotonic() + deadline
        with self._news:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if self._ended or not self._news.wait(end - time.monotonic()):
                    raise AssertionError(f'{self.argv[0]} did not say {text!r}:\n' + self.log())

    def log(self):
        return '\n'.join(self.lines)

    def wait(self, deadline=DEADLINE):
        """The exit status, once the process has ended and all its output is read."""
        status = self.popen.wait(deadline)
        self._reader.join(deadline)
        return status

    @contextlib.contextmanager
    def stopped(self):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def end(self):
        if self.popen.poll() is None:
            self.popen.send_signal(self.last_signal)
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self._reader.join(5)
