"""The agent protocol (RFC 9987) spoken byte by byte, for what the OpenSSH tools would never send."""

import socket
import struct

FAILURE, SUCCESS = 5, 6
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
RSA_SHA2_256, RSA_SHA2_512 = 2, 4
MAX_FRAME = 262144


def u32(number):
    return struct.pack('>I', number)


def string(content):
    return u32(len(content)) + content


def frame(body):
    return string(body)


def take_string(data):
    """The first string of `data`, and what follows it."""
    (length,) = struct.unpack('>I', data[:4])
    if len(data) < 4 + length:
        raise AssertionError('a string that ends too early')
    return data[4:4 + length], data[4 + length:]


def sign_request(blob, data, flags=0):
    return bytes([SIGN_REQUEST]) + string(blob) + string(data) + u32(flags)


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

    def __init__(self, path, deadline=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(deadline)
        self.socket.connect(path)

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
