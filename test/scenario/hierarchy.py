# SPDX-License-Identifier: MIT
"""Keys that a TPM makes from a hierarchy's seed: their .pub files, an agent that serves them, an sshd."""

import os
import re

from agent import Agent
from lab import read_key
from sshd import USER

KINDS = 'ecdsa', 'rsa'
# What the TPM answers when it is asked for ECDSA 256 and then for RSA 2048 (TPM2_TestParms).
LACKS = {'ecdsa': 'TPM2_TestParms answer 0x1e6 times=1', 'rsa': 'TPM2_TestParms answer 0x1c4 after=1',
         'both': 'TPM2_TestParms answer 0x1c4'}
ATTRIBUTES = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'
GENERATOR = {'ecdsa': 'ecc256', 'rsa': 'rsa2048'}


def base_of(prefix, kind):
    return os.path.join(prefix, 'etc/ssh', f'ssh_tpm_host_{kind}_key')


def read_public(prefix, kind):
    """The host key of a kind, as far as it is in files."""
    return read_key(base_of(prefix, kind))


def without_comment(lines):
    return [' '.join(line.split()[:2]) for line in lines]


class HierarchyAgent(Agent):
    """Given no folder, as a unit starts it."""

    def __init__(self, lab, hierarchy, *options, **more):
        super().__init__(lab, '--hierarchy', hierarchy, *options, key_dir='', **more)


def primary_of_tools(tpm, hierarchy, kind, more=''):
    """The numbers of the key that tpm2_createprimary makes: x and y, or n."""
    context = tpm.lab.path('primary.ctx')
    printed = tpm.craft('tpm2_createprimary', '-C', hierarchy, '-G', GENERATOR[kind], '-g', 'sha256',
                        '-a', ATTRIBUTES + more, '-c', context)
    names = ('x', 'y') if kind == 'ecdsa' else ('rsa',)
    return b''.join(bytes.fromhex(re.search(rf'(?m)^{name}: ([0-9a-f]+)$', printed)[1]) for name in names)


def login(lab, server, user, known, *options, command='echo in', **more):
    """With a key in a file, at a host that `known` must know."""
    return lab.run('ssh', '-F', 'none', '-p', str(server.port), '-i', user.path, '-o', 'IdentityAgent=none',
                   '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', f'UserKnownHostsFile={known}',
                   '-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'ControlPath=none', *options, f'{USER}@127.0.0.1',
                   command, **more)


def know(lab, server, *keys):
    return lab.write('known_hosts', ''.join(f'[127.0.0.1]:{server.port} {key.line}\n' for key in keys))
