# SPDX-License-Identifier: MIT
"""The time that a chip takes, modelled: the probe delays each command of swtpm's by a published figure."""

FLUSH, LOAD, SIGN = 'TPM2_FlushContext', 'TPM2_Load', 'TPM2_Sign'
PRIMARY, SESSION = 'TPM2_CreatePrimary', 'TPM2_StartAuthSession'
OTHERS = 10  # ms, as all below
SIGNATURE = {'ecdsa': 200, 'rsa': 250}
COSTS = {PRIMARY: 200, SESSION: 100, LOAD: 60, FLUSH: 5}
SOURCE = '''modelled: swtpm, each command delayed in front of it by what chips take (P-256 TPM2_Sign 200 ms, RSA-2048
250 ms, CreatePrimary 200 ms, salted StartAuthSession 100 ms, Load 60 ms, FlushContext 5 ms, others 10 ms; TPMs in the
field take about 200 ms, the median, for a P-256 signature). No chip was measured.'''


def costs(kind):
    return {**COSTS, SIGN: SIGNATURE[kind]}


def rules(kind):
    """For Probe.fail."""
    return [f'{name} delay {cost}' for name, cost in costs(kind).items()] + [f'* delay {OTHERS}']


def chip_time(kind, commands):
    """What these commands take on the chip, in ms."""
    return sum(costs(kind).get(name, OTHERS) for name in commands)


def demands(kind):
    """The most TPM time, in ms: of a warm signature, a first one under a persistent storage key, and that with
    a PIN."""
    sign = SIGNATURE[kind]
    first = COSTS[LOAD] + sign + 30
    return {'warm': sign + 10, 'first use': first, 'first use with a PIN': first + COSTS[SESSION]}
