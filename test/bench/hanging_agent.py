# SPDX-License-Identifier: MIT
"""An upstream agent that hangs."""

import socket
import threading


class HangingAgent:
    """Answers the first list request, with no keys, and nothing after that."""

    def __init__(self, path):
        self.path, self.asked = path, threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1000)
        self._first = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        self._first, _ = self._listener.accept()
        self._first.recv(5)
        self._first.sendall(b'\0\0\0\5\x0c\0\0\0\0')
        self._first.recv(1)
        self.asked.set()

    def end(self):
        self._first.close()
        self._listener.close()
