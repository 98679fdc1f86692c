# SPDX-License-Identifier: MIT
"""The rows of the table of test/bench/load: each puts both agents under one kind of load and judges ours.

A row is a function of the bench that returns three things: what it found of our agent, what of ssh-agent, and
whether ours does what is demanded. Its documentation is the demand.
"""

import os
import statistics
import time

from contender import Contender, Load, Server
from agent import Askpass
from hanging_agent import HangingAgent
from lab import wait_until
from protocol import Connection
from resources import cpu, descriptors, rss
from swtpm import Swtpm

NOTHING = '-'
PIN = 'correct horse 42'
MIB = 1024  # in KiB
FRAME = 262144


class Bench:
    """A lab with a TPM and keys; both kinds of agent hold a P-256 and an RSA-2048 key each."""

    def __init__(self, lab, soak_seconds):
        self.lab, self.soak_seconds, self.tpm, self.count = lab, soak_seconds, Swtpm(lab), 0
        self.key = lab.make_key('a', 'ecdsa', 256)
        lab.make_key('b', 'rsa', 2048)
        self.software = [lab.path('software.' + kind) for kind in ('ecdsa', 'rsa')]
        for path, kind, bits in zip(self.software, ('ecdsa', 'rsa'), ('256', '2048')):
            lab.ssh_keygen('-q', '-t', kind, '-b', bits, '-N', '', '-C', kind[0], '-f', path)

    def name(self, kind):
        self.count += 1
        return f'{kind}{self.count}'

    def ours(self, *options, keys=None, **more):
        return Server(self.lab, self.name('ours'), f'{self.lab.bin}/ssh-tpm-agent', '-l', 'SOCKET', '--key-dir',
                      keys or self.lab.keys, *options, **more)

    def theirs(self, *add_options, **more):
        agent = Server(self.lab, self.name('theirs'), 'ssh-agent', '-D', '-a', 'SOCKET', **more)
        self.lab.run('ssh-add', '-q', *add_options, *self.software, env={'SSH_AUTH_SOCK': agent.socket},
                     status=0)
        return agent

    def both(self, **more):
        """Of each kind an agent and a load for it; they have served a few lists."""
        pairs = [(agent, Load(self.lab, agent)) for agent in (self.ours(**more), self.theirs(**more))]
        for _, load in pairs:
            load.do('list', 100)
        return pairs

    def end(self, *pairs):
        for agent, load in pairs:
            load.end()
            agent.end()


def listing(load, *words):
    """A text, and the p99 in ms."""
    found = load.do(*words)
    if 'blocked' in found:
        return 'blocked', float('inf')
    return f'p99 {found["p99"]:.2f}, max {found["max"]:.1f} ms', found['p99']


def mib(kib):
    return f'{kib / MIB:+.1f} MiB'


def idle(bench):
    """10,000 idle clients: list p99 <= 0.5 ms, <= 4 KiB each"""
    pairs, clients, rounds = bench.both(), 10000, 5
    each = []
    for agent, load in pairs:
        before = rss(agent.pid)
        load.do('join', clients)
        load.do('list', 10)  # behind them all in the queue
        each.append((rss(agent.pid) - before) / clients)
    found = [[load.do('list', 400) for _, load in pairs] for _ in range(rounds)]
    bench.end(*pairs)
    p50s, p99s = ([statistics.median(result[i][name] for result in found) for i in range(2)]
                  for name in ('p50', 'p99'))
    texts = [f'p50 {p50:.2f}, p99 {p99:.2f} ms, {kib:.1f} KiB' for p50, p99, kib in zip(p50s, p99s, each)]
    return *texts, p99s[0] <= 0.5 and each[0] <= 4


def rate(bench):
    """64 clients listing: at least as many a second"""
    agents = bench.ours(), bench.theirs()
    clients = [Contender(bench.lab, 'bench-client', agent.socket, 64) for agent in agents]
    found = [[client.rate(0.25) for client in clients] for _ in range(15)]
    bench.end(*zip(agents, clients))
    ours, theirs = (statistics.median(result[i] for result in found) for i in range(2))
    ratio = statistics.median(result[0] / result[1] for result in found)
    return f'{ours:.0f}/s, ratio {ratio:.2f}', f'{theirs:.0f}/s', ratio >= 1


def begun(bench):
    """100 unfinished frames of 256 KiB: <= +32 MiB, then freed"""
    pairs = bench.both()
    before = [rss(agent.pid) for agent, _ in pairs]
    for _, load in pairs:
        load.do('begin', 100, FRAME + 3)  # with its length in front, all but the last byte
    grown = [rss(agent.pid) - kib for (agent, _), kib in zip(pairs, before)]
    for _, load in pairs:
        load.ask('closed 35')
    closed = [load.figures()['closed'] for _, load in pairs]
    after = [rss(agent.pid) - kib for (agent, _), kib in zip(pairs, before)]
    bench.end(*pairs)
    texts = [f'{mib(most)}, {shut:.0f} closed, {mib(left)}' for most, shut, left in zip(grown, closed, after)]
    return *texts, grown[0] <= 32 * MIB and closed[0] == 100 and after[0] <= 2 * MIB


def flood(bench):
    """one floods, never reads: others p99 <= 5 ms, <= +2 MiB"""
    def one(agent, load):
        before, flooder = rss(agent.pid), Load(bench.lab, agent)
        flooder.ask('flood 10')
        text, p99 = listing(load, 'during', 9)
        flooder.figures()
        grown = rss(agent.pid) - before
        flooder.end()
        return f'{text}, {mib(grown)}', p99 <= 5 and grown <= 2 * MIB

    pairs = bench.both()
    (ours, met), (theirs, _) = (one(*pair) for pair in pairs)
    bench.end(*pairs)
    return ours, theirs, met


def malformed(bench):
    """1,000,000 malformed frames: alive, +-1 MiB"""
    def one(agent, load, *spared):
        before = rss(agent.pid)
        load.do('malformed', 1000000, *spared)
        load.do('list', 10)
        grown = rss(agent.pid) - before
        log = os.path.getsize(agent.log_file) / 2**20
        return f'alive, {mib(grown)}, log {log:.0f} MiB', abs(grown) <= MIB

    pairs = bench.both()
    ours, met = one(*pairs[0])
    # It ends itself, on purpose, at a request to lock or unlock that it cannot read.
    theirs, _ = one(*pairs[1], 22, 23)
    bench.end(*pairs)
    return ours, theirs + ' (no 22, 23)', met


def limit(bench):
    """64 descriptors, 120 come: >= 45, < 0.05 s CPU, the next"""
    def one(agent, load):
        served, before = load.do('ask', 120)['served'], cpu(agent.pid)
        load.do('wait', 3)
        spent, following = cpu(agent.pid) - before, load.do('next')
        text = f'{following["after"]:.1f} ms' if 'after' in following else 'never'
        met = served >= 45 and spent < 0.05 and 'after' in following
        return f'{served:.0f} served, {spent:.3f} s, next {text}', met

    pairs = bench.both(limit=64)
    (ours, met), (theirs, _) = (one(*pair) for pair in pairs)
    bench.end(*pairs)
    return ours, theirs, met


def prompt(bench):
    """a prompt is open: list p99 <= 5 ms"""
    def one(agent, pub, askpass):
        asker, load = Load(bench.lab, agent), Load(bench.lab, agent)
        asker.do('sign', pub)
        wait_until(askpass.questions, 'the question')
        text, p99 = listing(load, 'list', 2000)
        for program in (asker, load):
            program.end()
        agent.end()
        return text, p99 <= 5

    keys = bench.lab.make_folder('pin')
    key = bench.lab.make_key('pin', pin=PIN, folder=keys)
    askers = [Askpass(bench.lab, name=name) for name in ('ask-ours', 'ask-theirs')]
    for asker in askers:
        asker.answer_later(1)
    ours, met = one(bench.ours(keys=keys, env=askers[0].env), key.pub, askers[0])
    theirs, _ = one(bench.theirs('-c', env=askers[1].env), bench.software[0] + '.pub', askers[1])
    return ours, theirs, met


def tpm(bench):
    """a TPM command hangs: list p99 <= 5 ms"""
    agent = bench.ours()
    signer, load = Load(bench.lab, agent), Load(bench.lab, agent)
    with bench.tpm.stopped():
        signer.do('sign', bench.key.pub)
        text, p99 = listing(load, 'list', 2000)
        served = signer.do('wait', 0.1)['served']
    answered = signer.do('wait', 5)['served']
    bench.end((agent, load), (agent, signer))
    return text, NOTHING, p99 <= 5 and (served, answered) == (0, 1)


def upstream(bench):
    """an upstream agent hangs: list p99 <= 5 ms"""
    # It lists nothing and then hangs, so that one client waits for an answer of its all the time. The very
    # first list may take the second in which it is found out.
    silent = HangingAgent(bench.lab.path('silent.sock'))
    agent = bench.ours('-A', silent.path)
    asker, load = Load(bench.lab, agent), Load(bench.lab, agent)
    asker.do('sign', bench.software[0] + '.pub')  # of a key that is not ours
    silent.asked.wait(10)
    load.do('list', 1)
    found = [listing(load, 'during', 1) for _ in range(8)]  # over several rests, with their probes
    served = asker.do('wait', 0.1)['served']
    bench.end((agent, load), (agent, asker))
    silent.end()
    text, p99 = max(found, key=lambda pair: pair[1])
    return text, NOTHING, p99 <= 5 and served == 0


def start(bench):
    """100 keys: first answer <= 50 ms after start, <= 15 MiB"""
    keys = bench.lab.make_folder('hundred')
    for number in range(100):
        bench.lab.make_key(f'k{number}', folder=keys)
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        agent = bench.ours(keys=keys)
        with Connection(agent.socket) as client:
            client.list()
        times.append(1000 * (time.perf_counter() - begun))
        agent.end()
    agent = bench.ours(keys=keys)
    with_keys = Load(bench.lab, agent)
    with_keys.do('list', 10)
    memory = rss(agent.pid)
    bench.end((agent, with_keys))
    took = statistics.median(times)
    met = took <= 50 and memory <= 15 * MIB
    return f'{took:.1f} ms ({min(times):.1f} at best), {memory / MIB:.1f} MiB', NOTHING, met


def soak(bench):
    """10 minutes: <= +1 MiB, same descriptors, 0 TPM handles"""
    whole = 600  # seconds of 100,000 lists and 20,000 signatures
    pairs, seconds = bench.both(), bench.soak_seconds

    def run(part):
        """Both at once, at the pace of the whole."""
        of_all = seconds / whole * part
        for (_, load), pub in zip(pairs, (bench.key.pub, bench.software[0] + '.pub')):
            load.ask(f'soak {seconds * part} {100000 * of_all} {20000 * of_all} {pub}')
        ended = [load.figures() for _, load in pairs]
        for _, load in pairs:
            load.do('list', 10)
        return ended

    run(0.1)
    memory, open_files = ([look(agent.pid) for agent, _ in pairs] for look in (rss, descriptors))
    late = run(0.9)[0]['seconds'] - 0.9 * seconds
    drift = [rss(agent.pid) - before for (agent, _), before in zip(pairs, memory)]
    more = [settled(agent, before) - before for (agent, _), before in zip(pairs, open_files)]
    bench.end(*pairs)
    handles = len(bench.tpm.handles())
    texts = [f'{seconds:.0f} s: {mib(kib)}, {fds:+d}' for kib, fds in zip(drift, more)]
    if late > 0.1 * seconds:
        texts[0] += f', {late:.0f} s late'
    return f'{texts[0]}, {handles} handles', texts[1], \
        drift[0] <= MIB and more[0] == 0 and handles == 0 and late <= 0.1 * seconds


def settled(agent, expected):
    """The number of descriptors, once the last clients' ends have been noticed."""
    end = time.monotonic() + 5
    while (now := descriptors(agent.pid)) != expected and time.monotonic() < end:
        time.sleep(0.02)
    return now


ROWS = (idle, rate, begun, flood, malformed, limit, prompt, tpm, upstream, start, soak)
