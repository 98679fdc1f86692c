#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the answers of hosts in answer/, and the seeds of the fuzz targets that read such things.

usage: SSH_TPM_BIN=BUILD/applets PYTHONPATH=test/scenario answers.py"""

import json
from pathlib import Path

from attestation import SoftTpm, Subject
from attested import SoftHost, extended, question
from event_logs import Event, event_log, startup_locality
from lab import Lab
from swtpm import Swtpm
from tpm_objects import RSA

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / 'fuzz' / 'corpus'
APPLICATION, SEPARATOR, VARIABLE = 0x80000003, 4, 0x80000001
EVENTS = (Event(0, SEPARATOR, bytes(4)), Event(4, APPLICATION, 'shim.efi'),
          Event(4, APPLICATION, 'grub.efi'.encode('utf-16le')), Event(7, VARIABLE, bytes(range(40))),
          Event(4, 0x8000ffff, '\x1b[2J'))
LOCALITY_LOG = event_log(startup_locality(3), Event(0, SEPARATOR, bytes(4)))


def seed(target, name, content):
    (CORPUS / target).mkdir(exist_ok=True)
    (CORPUS / target / name).write_bytes(content)


def answer_of_swtpm(line):
    lab = Lab()
    try:
        chip = Swtpm(lab)
        for event in EVENTS:
            chip.tool('tpm2_pcrextend', f'{event.pcr}:sha256={event.digest().hex()}')
        lab.keygen('-q', '-A', '-f', lab.path('root'))
        return lab.run(f'{lab.bin}/ssh-tpm', 'attest', 'serve', '--key-dir', lab.path('root/etc/ssh'), '--event-log',
                       lab.write('log', event_log(*EVENTS)), stdin=line, text=False, status=0).stdout
    finally:
        lab.close()


def answer_of_rsa(line):
    host = SoftHost(Subject('p384'), soft=SoftTpm(ak_kind=RSA))
    host.log, host.values[0] = LOCALITY_LOG, extended(EVENTS[0].digest(), first=bytes(31) + b'\3')
    return host.answer(line)


def record(answer, selection):
    members = json.loads(answer)
    return (json.dumps({'host': 'web1', 'ak': '000b' + '17' * 32, 'key': members['keys'][0]['ssh'].split()[1],
                        'pcrs': selection, 'values': members['pcrs'], 'resets': 7, 'eventlog': members['eventlog']},
                       separators=(',', ':')) + '\n').encode()


line = question(bytes(range(32)))
chosen = line.decode().split()[2]
answers = {'swtpm': answer_of_swtpm(line), 'rsa': answer_of_rsa(line)}
(HERE / 'answer/question').write_bytes(line)
(HERE / 'answer/swtpm.log').write_bytes(event_log(*EVENTS))
(HERE / 'answer/locality.log').write_bytes(LOCALITY_LOG)
for name, answer in answers.items():
    (HERE / f'answer/{name}.json').write_bytes(answer)
    seed('attest_answer', name, answer)
    seed('attested_hosts', name, record(answer, chosen))
seed('attested_hosts', 'two', record(answers['swtpm'], chosen) + b'\n' + record(answers['rsa'], chosen))
seed('attest_question', 'usual', line)
seed('attest_question', 'sha384', question(pcrs='sha384:7,23'))
seed('attest_question', 'range', question(pcrs='0-7'))
seed('event_log', 'swtpm', event_log(*EVENTS))
seed('event_log', 'locality', LOCALITY_LOG)
seed('event_log', 'sha256', event_log(*EVENTS, names=('sha256',)))
