# SPDX-License-Identifier: MIT
"""What a process uses: memory, processor time, descriptors."""

import os
import unittest

from protocol import Connection


def rss(pid):
    """Resident memory in KiB; to the page for those who may look, else as exact as the kernel keeps it."""
    try:
        return _field(f'/proc/{pid}/smaps_rollup', 'Rss:')
    except PermissionError:  # of a hardened process, for all but root
        return _field(f'/proc/{pid}/status', 'VmRSS:')


def _field(path, name):
    with open(path, encoding='utf-8') as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


def cpu(pid):
    """Seconds of all its threads."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as file:
            total += int(file.read().split()[0])
    return total / 1e9


def descriptors(pid):
    """How many it has open. Only root may list those of a hardened process; Linux 6.2 tells everybody their number."""
    try:
        return len(os.listdir(f'/proc/{pid}/fd'))
    except PermissionError:
        count = os.stat(f'/proc/{pid}/fd').st_size
        if count == 0:
            raise unittest.SkipTest('before Linux 6.2, root alone may count the descriptors of an agent') from None
        return count


def descriptors_at_rest(agent):
    """Those of an agent once it has noticed all clients that have left."""
    with Connection(agent.socket) as witness:
        for _ in range(2):  # whoever left before is noticed before the second one is answered
            witness.list()
        return descriptors(agent.process.pid) - 1


def is_sanitized(build):
    """True for a sanitizer build, which keeps memory that was given back."""
    with open(os.path.join(build, 'applets', 'ssh-tpm'), 'rb') as file:
        return b'__asan_init' in file.read()
