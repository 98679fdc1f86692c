"""Commands sent to an emulator byte by byte (TPM 2.0 part 3), for what must take no time between two requests."""

import socket
import struct

GET_CAPABILITY, FLUSH_CONTEXT = 0x17a, 0x165
HANDLES, PROPERTIES = 1, 6
TRANSIENT, LOADED_SESSIONS, SAVED_SESSIONS = 0x80000000, 0x02000000, 0x03000000
LOCKOUT_COUNTER = 0x20e
NO_SUCH_HANDLE = 0x1cb  # TPM_RC_HANDLE of parameter 1: TPM2_FlushContext of what is not there


def command(tpm, code, parameters, allowed=()):
    """The parameters of the response; the command must succeed, or be refused with a code in `allowed`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(tpm.path)
        connection.sendall(struct.pack('>HII', 0x8001, 10 + len(parameters), code) + parameters)
        response = b''
        while len(response) < 10 or len(response) < struct.unpack('>I', response[2:6])[0]:
            piece = connection.recv(4096)
            if not piece:
                raise AssertionError('the TPM closed the connection')
            response += piece
    (result,) = struct.unpack('>I', response[6:10])
    if result != 0 and result not in allowed:
        raise AssertionError(f'command {code:#x}: {result:#x}')
    return response[10:]


def wrong_tries(tpm):
    """The dictionary-attack counter."""
    got = command(tpm, GET_CAPABILITY, struct.pack('>III', PROPERTIES, LOCKOUT_COUNTER, 1))
    number, value = struct.unpack('>II', got[9:17])
    if number != LOCKOUT_COUNTER:
        raise AssertionError(f'not the counter: {number:#x}')
    return value


def handles(tpm):
    """The transient objects and the sessions that it holds: pairs of the kind and the handle."""
    found = []
    for kind, first in (('object', TRANSIENT), ('loaded session', LOADED_SESSIONS), ('saved session', SAVED_SESSIONS)):
        got = command(tpm, GET_CAPABILITY, struct.pack('>III', HANDLES, first, 64))
        (count,) = struct.unpack('>I', got[5:9])
        found += [(kind, handle) for handle in struct.unpack(f'>{count}I', got[9:9 + 4 * count])]
    return found


def flush_all(tpm):
    """What a resource manager does with all that a closed descriptor has left in the TPM. For a moment when
    nobody uses it; an idle agent may give back its own meanwhile."""
    for _, handle in handles(tpm):
        command(tpm, FLUSH_CONTEXT, struct.pack('>I', handle), allowed=(NO_SUCH_HANDLE,))
