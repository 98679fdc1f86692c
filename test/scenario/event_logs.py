# SPDX-License-Identifier: MIT
"""Logs of a boot in the crypto agile format (TCG PC Client Platform Firmware Profile, 10.2)."""

import dataclasses
import hashlib
import struct

import tpm_objects as tpm

HASHES = {'sha1': tpm.SHA1, 'sha256': tpm.SHA256, 'sha384': tpm.SHA384}
NO_ACTION = 3


@dataclasses.dataclass(frozen=True)
class Event:
    pcr: int
    kind: int
    data: object  # text or bytes

    def content(self):
        return self.data if isinstance(self.data, bytes) else self.data.encode()

    def digest(self, name='sha256'):
        return hashlib.new(name, self.content()).digest()

    def marshalled(self, names):
        digests = b''.join(struct.pack('<H', HASHES[name]) + self.digest(name) for name in names)
        return struct.pack('<III', self.pcr, self.kind, len(names)) + digests + _sized(self.content())


def _sized(content):
    return struct.pack('<I', len(content)) + content


def header(names):
    """TCG_EfiSpecIDEvent, in an event of TCG 1.2."""
    sizes = b''.join(struct.pack('<HH', HASHES[name], hashlib.new(name).digest_size) for name in names)
    content = b'Spec ID Event03\0' + struct.pack('<IBBBBI', 0, 0, 2, 0, 2, len(names)) + sizes + b'\0'
    return struct.pack('<II', 0, NO_ACTION) + bytes(20) + _sized(content)


def event_log(*events, names=('sha1', 'sha256', 'sha384')):
    return header(names) + b''.join(event.marshalled(names) for event in events)


def startup_locality(locality):
    return Event(0, NO_ACTION, b'StartupLocality\0' + bytes([locality]))
