# SPDX-License-Identifier: MIT
"""Another user of the TPM, who speaks to swtpm byte by byte (TPM 2.0 Part 3) and leaves behind what it likes; for what
must take no time between two requests, too."""

import socket
import struct

from bus import exchanges

NO_SESSIONS, SESSIONS = 0x8001, 0x8002
CREATE_PRIMARY, CONTEXT_LOAD, CONTEXT_SAVE, FLUSH, START_SESSION = 0x131, 0x161, 0x162, 0x165, 0x176
GET_CAPABILITY, HANDLES, PROPERTIES = 0x17a, 1, 6
LOCKOUT_COUNTER, MAX_AUTH_FAIL = 0x20e, 0x20f
TRANSIENT, LOADED_SESSIONS, SAVED_SESSIONS = 0x80000000, 0x02000000, 0x03000000
RH_NULL = 0x40000007
NO_SUCH_HANDLE = 0x1cb  # TPM_RC_HANDLE of parameter 1: TPM2_FlushContext of what is not there
OBJECT_MEMORY, SESSION_MEMORY, CONTEXT_GAP = 0x902, 0x903, 0x901
OBJECT, HMAC_SESSION = 0x80, 0x02  # the first byte of a handle
# What gives a handle out, and what takes it back: by their command codes.
GIVERS = (0x131, 0x157, 0x161, 0x167, 0x176)  # CreatePrimary, Load, ContextLoad, LoadExternal, StartAuthSession


class Refused(Exception):
    def __init__(self, code):
        super().__init__(f'TPM response code {code:#x}')
        self.code = code


class Neighbour:
    """A connection is open within `with`: swtpm serves one at a time, so everybody else waits meanwhile."""

    def __init__(self, tpm):
        self.path, self.objects, self.sessions = tpm.path, [], []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(self.path)
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, tag, code, body):
        """The response without its header. @raises Refused"""
        self.socket.sendall(struct.pack('>HII', tag, 10 + len(body), code) + body)
        header = self._read(10)
        _, size, result = struct.unpack('>HII', header)
        body = self._read(size - 10)
        if result:
            raise Refused(result)
        return body

    def _read(self, size):
        data = b''
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise AssertionError('swtpm closed the connection')
            data += more
        return data

    def start_session(self):
        """An HMAC session, neither salted nor bound; it stays loaded."""
        body = struct.pack('>IIH16sHBHH', RH_NULL, RH_NULL, 16, bytes(16), 0, 0, 0x10, 0xb)
        handle = struct.unpack('>I', self.send(NO_SESSIONS, START_SESSION, body)[:4])[0]
        self.sessions.append(handle)
        return handle

    def create_primary(self):
        """A P-256 storage key of the null hierarchy; it stays loaded."""
        area = struct.pack('>HHIHHHHHHHHH', 0x23, 0xb, 0x30472, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0)
        empty_password = struct.pack('>IIHBH', 9, 0x40000009, 0, 0, 0)
        body = (struct.pack('>I', RH_NULL) + empty_password + struct.pack('>HHH', 4, 0, 0) +
                struct.pack('>H', len(area)) + area + struct.pack('>HI', 0, 0))
        handle = struct.unpack('>I', self.send(SESSIONS, CREATE_PRIMARY, body)[:4])[0]
        self.objects.append(handle)
        return handle

    def take_all(self, take, full):
        """Repeats until the TPM says so with the code `full`. @returns the number of slots that were free."""
        for number in range(100):
            try:
                take()
            except Refused as refused:
                if refused.code != full:
                    raise
                return number
        raise AssertionError('a TPM that is never full')

    def save(self, handle):
        return self.send(NO_SESSIONS, CONTEXT_SAVE, struct.pack('>I', handle))

    def load(self, context):
        return struct.unpack('>I', self.send(NO_SESSIONS, CONTEXT_LOAD, context))[0]

    def flush(self, handle):
        self.send(NO_SESSIONS, FLUSH, struct.pack('>I', handle))

    def capability(self, kind, first, most):
        """The values of a kind: handles, or pairs of a property and its value."""
        body = self.send(NO_SESSIONS, GET_CAPABILITY, struct.pack('>III', kind, first, most))
        form = '>II' if kind == PROPERTIES else '>I'
        count = struct.unpack('>I', body[5:9])[0]
        return list(struct.iter_unpack(form, body[9:9 + count * struct.calcsize(form)]))

    def property(self, number):
        (found, value), = self.capability(PROPERTIES, number, 1)
        if found != number:
            raise AssertionError(f'property {found:#x} instead of {number:#x}')
        return value

    def all_handles(self):
        """Of transient objects and of sessions, whoever they belong to."""
        return [handle for first in (TRANSIENT, LOADED_SESSIONS, SAVED_SESSIONS)
                for handle, in self.capability(HANDLES, first, 64)]

    def leave(self):
        """Gives everything back."""
        for handle in self.objects + self.sessions:
            self.flush(handle)
        self.objects, self.sessions = [], []


def held(recording):
    """What the program behind a Probe held in the TPM after each command: pairs of objects and sessions."""
    handles, counts = set(), []
    for command, response in exchanges(recording):
        code, result = struct.unpack('>I', command[6:10])[0], struct.unpack('>I', response[6:10])[0]
        if result == 0 and code in GIVERS:
            handles.add(response[10:14])
        elif result == 0 and code == FLUSH:
            handles.remove(command[10:14])
        sessions = sum(handle[0] == HMAC_SESSION for handle in handles)
        counts.append((len(handles) - sessions, sessions))
    return counts


def flush_all(tpm):
    """What a resource manager does with all that a closed descriptor has left in the TPM. For a moment when
    nobody uses it; an idle agent may give back its own meanwhile."""
    with Neighbour(tpm) as neighbour:
        for handle in neighbour.all_handles():
            try:
                neighbour.flush(handle)
            except Refused as refused:
                if refused.code != NO_SUCH_HANDLE:
                    raise
