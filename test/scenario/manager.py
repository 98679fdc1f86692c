# SPDX-License-Identifier: MIT
"""What systemd does around a service, as far as a scenario needs it: its socket, its credentials, its ear."""

import contextlib
import os
import re
import shlex
import socket

from agent import Agent
from lab import NO_LEAK_CHECK, NOBODY, read


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, name):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name)
        self._socket.settimeout(60)

    def take(self):
        return self._socket.recv(4096).decode()

    def wait_for(self, text):
        while (message := self.take()) != text:
            pass
        return message

    def take_all(self):
        """What it has been told up to now, without waiting."""
        messages = []
        with contextlib.suppress(BlockingIOError):
            self.patience(0)
            while True:
                messages.append(self.take())
        return messages

    def patience(self, seconds):
        """How long `take` waits, from now on."""
        self._socket.settimeout(seconds)

    def close(self):
        self._socket.close()


class Unit:
    """A unit file that is installed."""

    def __init__(self, path, instance=''):
        self._lines = [line.replace('%i', instance).split('=', 1) for line in read(path).splitlines()
                       if re.match(r'\w+=', line)]

    def all(self, name):
        """The values of a directive that may come more than once."""
        return [value for key, value in self._lines if key == name]

    def one(self, name):
        (value,) = self.all(name)
        return value

    def environment(self):
        """The variables of Environment=."""
        return dict(word.split('=', 1) for line in self.all('Environment') for word in line.split())

    def command(self, **specifiers):
        """The words of ExecStart; the value of each specifier is given by its letter."""
        line = self.one('ExecStart').removeprefix(':')
        for letter, value in specifiers.items():
            line = line.replace('%' + letter, value)
        return [word.replace('%%', '%') for word in shlex.split(line)]


def load_credentials(unit, root, folder, owner):
    """The files of LoadCredential=, whose paths are `root`'s, in `folder`; of `owner` and for it alone."""
    defaults = dict(line.split(':', 1) for line in unit.all('SetCredential'))
    for line in unit.all('LoadCredential'):
        name, path = line.split(':', 1)
        target = os.path.join(folder, name)
        if os.path.exists(root + path):
            with open(root + path, 'rb') as file:
                content = file.read()
        else:
            content = defaults[name].encode().decode('unicode_escape').encode()  # none: the service fails
        with open(target, 'wb') as file:
            file.write(content)
        os.chmod(target, 0o400)
        os.chown(target, owner, owner)
    os.chmod(folder, 0o500)
    os.chown(folder, owner, owner)


class Activated(Agent):
    """An agent that the manager starts at the first connection to its socket, which is of mode 0600."""

    def __init__(self, lab, *command, env=None, name='given', as_nobody=False):
        self.lab, self.socket = lab, lab.path(name + '.sock')
        env = lab.merged({**(env or {}), **(NO_LEAK_CHECK if as_nobody else {})})
        become = (('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', '--bounding-set=-all')
                  if as_nobody else ())
        self.process = lab.start('systemd-socket-activate', *(f'-E{name}={value}' for name, value in env.items()),
                                 '-l', self.socket, *become, *command)
        self.process.wait_line('Listening on')
        os.chmod(self.socket, 0o600)
