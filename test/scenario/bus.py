# SPDX-License-Identifier: MIT
"""What passes between a program and its TPM: the record of the probe, cut into commands and their sessions.

TPM 2.0 part 1, 18 (headers, authorization area); part 3 (which handles and parameters a command has).
"""

import collections
import struct

import memory

HANDLES = {0x131: 1, 0x153: 1, 0x156: 1, 0x157: 1, 0x150: 2, 0x15d: 1, 0x159: 1, 0x15e: 1, 0x176: 2, 0x173: 1,
           0x165: 0, 0x17a: 0, 0x17b: 0, 0x18a: 0, 0x144: 0, 0x145: 0, 0x143: 0, 0x120: 2, 0x167: 0}
NAMES = {0x131: 'CreatePrimary', 0x153: 'Create', 0x156: 'Import', 0x157: 'Load', 0x150: 'ObjectChangeAuth',
         0x15d: 'Sign', 0x176: 'StartAuthSession', 0x159: 'RSA_Decrypt'}
TPM2_SIGN = 0x15d
PASSWORD_SESSION, NULL = 0x40000009, 0x40000007
DECRYPT = 0x20  # TPMA_SESSION: the TPM decrypts the first parameter
AES_128_CFB = (0x0006, 128, 0x0043)

Command = collections.namedtuple('Command', 'name handles sessions parameters')
Session = collections.namedtuple('Session', 'handle nonce attributes auth')
Started = collections.namedtuple('Started', 'salt_key bind salt kind symmetric handle')


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        piece = self.data[self.at:self.at + size]
        if len(piece) != size:
            raise AssertionError('a command is too short for what it says')
        self.at += size
        return piece

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def sized(self):
        return self.take(self.number(2))

    def rest(self):
        return self.take(len(self.data) - self.at)


def exchanges(traffic):
    """Pairs of command and response; the record is one after the other and each says its size."""
    reader, messages = _Reader(traffic), []
    while reader.at < len(traffic):
        messages.append(reader.data[reader.at:reader.at + int.from_bytes(traffic[reader.at + 2:reader.at + 6],
                                                                         'big')])
        reader.take(len(messages[-1]))
    return list(zip(messages[::2], messages[1::2], strict=True))


def parse(message):
    reader = _Reader(message)
    tag, size, code = reader.number(2), reader.number(4), reader.number(4)
    if size != len(message) or tag not in (0x8001, 0x8002):
        raise AssertionError(f'no command: {message.hex()}')
    if tag == 0x8001 and code not in HANDLES:
        return Command(hex(code), [], [], reader.rest())
    handles = [reader.number(4) for _ in range(HANDLES[code])]  # a command with sessions has to be known
    sessions = []
    if tag == 0x8002:
        end = reader.number(4)
        end += reader.at
        while reader.at < end:
            sessions.append(Session(reader.number(4), reader.sized(), reader.number(1), reader.sized()))
    return Command(NAMES.get(code, hex(code)), handles, sessions, reader.rest())


def started_session(command, response):
    """A TPM2_StartAuthSession: what the session is salted with, bound to, and encrypts with."""
    reader = _Reader(command.parameters)
    reader.sized()  # nonceCaller
    salt, kind, algorithm = reader.sized(), reader.number(1), reader.number(2)
    symmetric = (algorithm, reader.number(2), reader.number(2)) if algorithm != 0x10 else (algorithm,)
    return Started(*command.handles, salt, kind, symmetric, int.from_bytes(response[10:14], 'big'))


def signatures(traffic):
    """The length of each answer to TPM2_Sign on a bus, in their order: it tells which key has signed."""
    found = []
    while traffic:
        (size, code) = struct.unpack('>II', traffic[2:10])
        command, traffic = traffic[:size], traffic[size:]
        if len(command) < size or len(traffic) < 10:
            break  # under way
        (size,) = struct.unpack('>I', traffic[2:6])
        if code == TPM2_SIGN:
            found.append(size)
        traffic = traffic[size:]
    return found


class Hidden:
    """Checks of the bytes that went through `self.probe` to the TPM."""

    def assert_nowhere(self, *secrets):
        traffic = self.probe.bytes()
        for secret in secrets:
            self.assertGreaterEqual(len(secret), 16)
            self.assertEqual(memory.count(traffic, secret), {})

    def commands(self):
        return [(parse(command), response) for command, response in exchanges(self.probe.bytes())]

    def assert_sessions(self, *used, secrets=()):
        """The rules that hold for all commands; `used` must be among them, in HMAC sessions. `secrets` are
        those whose first parameter must be encrypted."""
        started, seen = {}, set()
        for command, response in self.commands():
            ok = response[6:10] == bytes(4)
            if command.name == 'StartAuthSession' and ok:
                session = started_session(command, response)
                self.assertNotEqual(session.salt_key, NULL, 'unsalted')
                self.assertEqual(session.salt_key >> 24 in (0x80, 0x81), True)
                self.assertGreaterEqual(len(session.salt), 64)
                self.assertEqual(session.bind, NULL)
                self.assertEqual(session.symmetric, AES_128_CFB)
                started[session.handle] = session
            for session in command.sessions:
                if session.handle == PASSWORD_SESSION:
                    self.assertEqual(session.auth, b'', f'a password in the clear: {command.name}')
                    self.assertNotIn(command.name, secrets)
                    continue
                self.assertIn(session.handle, started)
                self.assertEqual(len(session.auth), 32)  # HMAC-SHA-256
                seen.add(command.name)
                if command.name in secrets:
                    self.assertTrue(session.attributes & DECRYPT, f'{command.name} is not encrypted')
        self.assertLessEqual(set(used), seen)
