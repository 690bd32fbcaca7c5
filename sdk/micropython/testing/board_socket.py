"""The module `socket` of a board in WebAssembly, which has none: made of what the test's own side offers."""

import binascii

import _board

AF_INET = 2
SOCK_STREAM = 1


def getaddrinfo(host, port, *_hints):
    return [(AF_INET, SOCK_STREAM, 0, host, (host, port))]


class socket:
    def __init__(self, *_kind):
        self._number = 0

    def settimeout(self, _seconds):
        pass

    def connect(self, address):
        self._number = _board.connect(address[0], address[1])
        if not self._number:
            raise OSError(111)

    def write(self, data):
        if not _board.write(self._number, binascii.hexlify(data).decode()):
            raise OSError(104)
        return len(data)

    def read(self, count):
        return self._bytes(_board.read(self._number, count))

    def readline(self, most):
        return self._bytes(_board.readline(self._number, most))

    def _bytes(self, text):
        if text is None:
            raise OSError(104)
        return binascii.unhexlify(text)

    def close(self):
        _board.close(self._number)
