#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An emulator behind a pseudo-terminal, which stands in for /dev/tpmrm0: a device to open, write and poll, where
signals interrupt calls.

A process of its own, and the terminal is its controlling one, so that no program that opens it gets it as its own.
usage: terminal_tpm.py SOCKET     prints the name of the device
"""

import fcntl
import os
import socket
import struct
import sys
import termios
import tty

HEADER = 10  # tag, size, code
LARGEST = 4096
SCRIPT = os.path.abspath(__file__)


def whole_message(read):
    """A command or a reply, which may come in pieces; empty at the end."""
    message = b''
    size = HEADER
    while len(message) < size:
        piece = read(size - len(message))
        if not piece:
            return b''
        message += piece
        if len(message) == HEADER:
            size = struct.unpack('>I', message[2:6])[0]
            if not HEADER <= size <= LARGEST:
                raise ValueError(f'a message of {size} bytes: {message.hex()}')
    return message


def serve(path):
    master, slave = os.openpty()
    tty.setraw(slave)  # no echo, no line editing, no signals for the bytes that would be Ctrl-C
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    print(os.ttyname(slave), flush=True)
    while command := whole_message(lambda room: os.read(master, room)):
        with socket.socket(socket.AF_UNIX) as emulator:  # a connection for each, as other programs use it too
            emulator.connect(path)
            emulator.sendall(command)
            reply = whole_message(emulator.recv)
        # In one piece: a device hands out a reply with one read. The kernel cuts from 1.8 kB on, which no reply
        # here has.
        if os.write(master, reply) != len(reply):
            raise OSError('the terminal took a part of a reply')


class TerminalTpm:
    """The device in front of a Swtpm: `tcti` is what the tools are given."""

    def __init__(self, tpm):
        self.process = tpm.lab.start(sys.executable, SCRIPT, tpm.path)
        self.path = self.process.wait_line('/dev/pts/')
        self.tcti = f'device:{self.path}'


if __name__ == '__main__':
    serve(sys.argv[1])
