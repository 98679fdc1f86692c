# SPDX-License-Identifier: MIT
"""The agent protocol (RFC 9987) spoken byte by byte, for what the OpenSSH tools would never send."""

import os
import select
import socket
import struct

FAILURE, SUCCESS = 5, 6
REMOVE_ALL_RSA = 9
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
ADD_IDENTITY, REMOVE_IDENTITY, REMOVE_ALL, ADD_ID_CONSTRAINED = 17, 18, 19, 25
ADD_SMARTCARD, REMOVE_SMARTCARD, ADD_SMARTCARD_CONSTRAINED = 20, 21, 26
LOCK, UNLOCK = 22, 23
EXTENSION, EXTENSION_FAILURE, EXTENSION_RESPONSE = 27, 28, 29
KEPT, WRONG, LOCKOUT, NOT_KEPT = range(4)  # what comes of a PIN that is tried
RSA_SHA2_256, RSA_SHA2_512 = 2, 4
MAX_FRAME = 262144
SESSION_BIND = b'session-bind@openssh.com'
RESTRICT_DESTINATION = b'restrict-destination-v00@openssh.com'
EXTENSIONS = (b'query', SESSION_BIND, b'tpm-add-key', b'tpm-add-key@ssh-tpm',
              b'tpm-try-pin@ssh-tpm', b'tpm-sign@ssh-tpm', b'status@ssh-tpm')  # what `query` answers
CONFIRM = b'\x02'  # the constraint


def u32(number):
    return struct.pack('>I', number)


def string(content):
    return u32(len(content)) + content


def frame(body):
    return string(body)


def mpint(number):
    """RFC 4251: two's complement, so that a top bit that is set wants a zero in front."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, 'big') if number else b'')


def take_string(data):
    """The first string of `data`, and what follows it."""
    (length,) = struct.unpack('>I', data[:4])
    if len(data) < 4 + length:
        raise AssertionError('a string that ends too early')
    return data[4:4 + length], data[4 + length:]


def sign_request(blob, data, flags=0):
    return bytes([SIGN_REQUEST]) + string(blob) + string(data) + u32(flags)


def add_identity(fields, comment=b'a soft key', constraints=b''):
    """`fields` are the key's type and numbers (SoftKey.agent_fields). Constraints make it message 25."""
    return (bytes([ADD_ID_CONSTRAINED if constraints else ADD_IDENTITY]) + fields + string(comment) + constraints)


def remove_identity(blob):
    return bytes([REMOVE_IDENTITY]) + string(blob)


def lock(password):
    return bytes([LOCK]) + string(password)


def unlock(password):
    return bytes([UNLOCK]) + string(password)


def lifetime(seconds):
    """The constraint."""
    return b'\x01' + u32(seconds)


def constraint_extension(name, body):
    return b'\xff' + string(name) + body


def hop(host=b'', *keys, user=b'', reserved=b''):
    """One end of a destination constraint; `keys` are blobs, or pairs of a blob and whether it is a CA's."""
    pairs = [key if isinstance(key, tuple) else (key, False) for key in keys]
    return (string(user) + string(host) + string(reserved) +
            b''.join(string(blob) + bytes([is_ca]) for blob, is_ca in pairs))


def destination(start, end, reserved=b''):
    return string(string(start) + string(end) + string(reserved))


def restrict_destination(*destinations):
    """The constraint."""
    return constraint_extension(RESTRICT_DESTINATION, string(b''.join(destinations)))


def extension(name, body=b''):
    return bytes([EXTENSION]) + string(name) + body


def session_bind(host_key, session_id, forwarding=False, signature=None):
    """`host_key` is a HostKey, which signs unless a signature is given."""
    return extension(SESSION_BIND, string(host_key.blob) + string(session_id) +
                     string(host_key.sign(session_id) if signature is None else signature) +
                     bytes([forwarding]))


def userauth(session_id, blob, algorithm, user=b'root', host_key=None):
    """What ssh has an agent sign to log in (RFC 4252 section 7); with a host key, OpenSSH's bound form."""
    method = b'publickey' if host_key is None else b'publickey-hostbound-v00@openssh.com'
    return (string(session_id) + b'\x32' + string(user) + string(b'ssh-connection') + string(method) +
            b'\x01' + string(algorithm.encode()) + string(blob) +
            (b'' if host_key is None else string(host_key)))


def tpm_add_key(key_file, certificate=b'', constraints=b''):
    """As the Go program ssh-tpm-add sends it: a message number of its own is in front of the fields."""
    return extension(b'tpm-add-key', bytes([ADD_IDENTITY]) + string(b'TPMKEY') + string(key_file) +
                     string(certificate) + constraints)


def add_checked_key(key_file, certificate=b'', constraints=b''):
    """The same with our own extension, for which the TPM loads the key."""
    return extension(b'tpm-add-key@ssh-tpm', string(key_file) + string(certificate) + constraints)


def read_explanation(reply):
    """The message and the hint in a failure of one of our extensions."""
    message, rest = take_string(reply[1:])
    hint, rest = take_string(rest)
    if reply[0] != EXTENSION_FAILURE or rest:
        raise AssertionError(f'reply {reply} where a failure is to be explained')
    return message.decode(), hint.decode()


def explained_sign(blob, data, flags=0):
    """A request to sign, whose failure has a reason."""
    return extension(b'tpm-sign@ssh-tpm', string(blob) + string(data) + u32(flags))


def try_pin(blob, pin):
    return extension(b'tpm-try-pin@ssh-tpm', string(blob) + string(pin))


def read_pin_outcome(reply):
    """What came of it: KEPT, WRONG, LOCKOUT or NOT_KEPT; None if the agent refused to try."""
    if reply[0] == EXTENSION_FAILURE:
        return None
    name, rest = take_string(reply[1:])
    if reply[0] != EXTENSION_RESPONSE or name != b'tpm-try-pin@ssh-tpm':
        raise AssertionError(f'reply {reply} to a PIN')
    return rest[0]


def read_signature(reply):
    """The algorithm and the signature proper in a SIGN_RESPONSE."""
    if reply[0] != SIGN_RESPONSE:
        raise AssertionError(f'reply {reply[0]} to a sign request')
    signature, rest = take_string(reply[1:])
    algorithm, signature = take_string(signature)
    signature, nothing = take_string(signature)
    if rest or nothing:
        raise AssertionError('bytes after the signature')
    return algorithm.decode(), signature


class Connection:
    """One connection to an agent. `read_frame` gives None once the agent has closed it."""

    def __init__(self, path, deadline=60, connect=None):
        self.socket = (connect or self._connect)(path)
        self.socket.settimeout(deadline)

    @staticmethod
    def _connect(path):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        return connected

    @classmethod
    def of_another_process(cls, path):
        """For the agent, a process that has ended meanwhile is at the other end."""
        def connect(path):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                child = os.fork()
                if child == 0:
                    with cls._connect(path) as connected:
                        socket.send_fds(theirs, [b'x'], [connected.fileno()])
                    os._exit(0)
                _, (descriptor,), _, _ = socket.recv_fds(ours, 1, 1)
                os.waitpid(child, 0)
            return socket.socket(fileno=descriptor)
        return cls(path, connect=connect)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _read(self, size):
        data = b''
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionResetError:  # what a close with unread input becomes
                piece = b''
            if not piece:
                return None if not data else data
            data += piece
        return data

    def read_frame(self):
        header = self._read(4)
        if header is None:
            return None
        (length,) = struct.unpack('>I', header)
        body = self._read(length)
        if len(header) < 4 or body is None or len(body) < length:
            raise AssertionError('the agent broke off inside a reply')
        return body

    def request(self, body):
        self.send(frame(body))
        reply = self.read_frame()
        if reply is None:
            raise AssertionError('the agent closed the connection')
        return reply

    def list(self):
        """Pairs of key blob and comment, in the agent's order."""
        reply = self.request(bytes([REQUEST_IDENTITIES]))
        if reply[0] != IDENTITIES_ANSWER:
            raise AssertionError(f'reply {reply[0]} to a list request')
        (count,) = struct.unpack('>I', reply[1:5])
        rest, pairs = reply[5:], []
        for _ in range(count):
            blob, rest = take_string(rest)
            comment, rest = take_string(rest)
            pairs.append((blob, comment.decode()))
        if rest:
            raise AssertionError('bytes after the last identity')
        return pairs

    def sign(self, blob, data, flags=0):
        """The algorithm and the signature proper, or None if the agent refused."""
        reply = self.request(sign_request(blob, data, flags))
        return None if reply == bytes([FAILURE]) else read_signature(reply)


def readable(connections, seconds):
    """Those that something has come for, or comes for within this time."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection.socket, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(seconds * 1000)}
    return [connection for connection in connections if connection.socket.fileno() in ready]
