# SPDX-License-Identifier: MIT
"""The OpenSSH programs that a scenario runs: those of this machine, and a newer release beside them."""

import functools
import os
import re
import shutil
import subprocess

from applet_options import SOURCE


class Tools:
    """The programs of one release; `folder` is the root of its tree."""

    def __init__(self, name, folder='/'):
        self.name, self.folder = name, folder

    def path(self, program):
        if self is INSTALLED:
            return shutil.which(program, path=os.environ['PATH'] + ':/usr/sbin')
        return os.path.join(self.folder, 'usr', 'sbin' if program == 'sshd' else 'bin', program)

    @functools.cached_property
    def cuts_logins_that_learn(self):
        """Of a plain user's sshd before 10.0: it asks its monitor, which root's logins lack, for an ECDSA signature by
        an empty algorithm name, and refuses the agent's answer."""
        version = subprocess.run((self.path('ssh'), '-V'), capture_output=True, check=True).stderr
        return os.geteuid() != 0 and int(re.match(rb'OpenSSH_([0-9]+)', version)[1]) < 10

    def sshd_options(self):
        """Lines that tell sshd where the rest of its release lies."""
        if self is INSTALLED:
            return []
        rest = os.path.join(self.folder, 'usr/lib/openssh')
        return [f'SshdSessionPath {rest}/sshd-session', f'SshdAuthPath {rest}/sshd-auth']


INSTALLED = Tools('installed')


def generations():
    """The installed release, and the one that test/openssh fetched, if it did: into SSH_TPM_OPENSSH, or its usual
    folder."""
    fetched = os.environ.get('SSH_TPM_OPENSSH') or os.path.join(SOURCE, 'build-openssh')
    if not os.path.isdir(fetched) and 'SSH_TPM_OPENSSH' not in os.environ:
        return [INSTALLED]
    return [INSTALLED, Tools('current', os.path.abspath(fetched))]
