"""A TPM that lacks algorithms: a relay in front of the emulator says so when it is asked (TPM2_TestParms)."""

import socket
import struct
import threading

TEST_PARMS = 0x018a
# What the TPM answers to parameters it does not have, about parameter 1 (TPM 2.0 Part 2, 6.6).
LACKS = {'rsa': (0x0001, 0x01c4), 'ecdsa': (0x0023, 0x01e6)}  # TPM_RC_VALUE, TPM_RC_CURVE
HEADER = struct.Struct('>HII')


class LesserTpm:
    """`tcti` is what the tools are given; `lacks` are among 'ecdsa' and 'rsa'."""

    def __init__(self, tpm, *lacks):
        self.tpm, self.lacks = tpm, [LACKS[kind] for kind in lacks]
        path = tpm.lab.path('-'.join(('less', *lacks)))
        self.tcti = f'swtpm:path={path}'
        self._serve(path, tpm.path, self._answer)
        self._serve(path + '.ctrl', tpm.path + '.ctrl', lambda command: None)

    def _serve(self, path, behind, answer):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(16)

        def accept():
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._relay, args=(client, behind, answer), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _relay(self, client, behind, answer):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(behind)
            try:
                while command := client.recv(8192):  # a command is one write, and so is its answer
                    said = answer(command)
                    if said is None:
                        server.sendall(command)
                        said = server.recv(8192)
                    client.sendall(said)
            except OSError:
                pass  # either side has gone

    def _answer(self, command):
        """None for what the TPM is to answer."""
        _, _, code = HEADER.unpack_from(command)
        kind = int.from_bytes(command[HEADER.size:HEADER.size + 2], 'big')
        for lacked, response in self.lacks:
            if (code, kind) == (TEST_PARMS, lacked):
                return HEADER.pack(0x8001, HEADER.size, response)
        return None
