# SPDX-License-Identifier: MIT
"""The two ways to give an agent a key, for scenarios that must hold for both.

A scenario's class inherits from what it tests, one of these, and Scenario, in this order.
"""

import os

from agent import REFERENCE, Agent
from softkey import SoftKey
from swtpm import Swtpm


def start_agent(lab):
    """An agent without keys."""
    return Agent(lab, *(() if REFERENCE else ('--no-load',)))


class SshAdd:
    """Ordinary keys, given to the agent by OpenSSH's ssh-add."""

    def setUp(self):
        super().setUp()
        if not REFERENCE:
            self.tpm = Swtpm(self.lab)

    def make_key(self, name, kind='ecdsa', bits=256):
        """A key whose comment is its name."""
        path = os.path.join(self.lab.make_folder('given'), name)
        return SoftKey(self.lab, path, kind, bits, comment=name).key

    def add(self, agent, key, *options, **more):
        """Gives the agent a key; the completed process."""
        return self.lab.run('ssh-add', *options, key.path, env={'SSH_AUTH_SOCK': agent.socket}, **more)


class SshTpmAdd:
    """Keys of the TPM, given to the agent by our ssh-tpm-add."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def make_key(self, name, kind='ecdsa', bits=256):
        return self.lab.make_key(name, kind, bits, folder=self.lab.make_folder('given'))

    def add(self, agent, key, *options, **more):
        return self.lab.run(f'{self.lab.bin}/ssh-tpm-add', *options, key.tpm,
                            env={'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': agent.socket}, **more)
