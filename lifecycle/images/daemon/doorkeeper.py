"""A process that keeps the right to open a daemon's socket while its parent gives it up.

Connections that were opened before would not do: podman closes them after seconds of silence, Docker closes one over
which it refused an image, and an image that is read while another is loaded needs a second one.  The process can do
nothing else than connect to that one path, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from typing import Final, NoReturn

_ASK: Final = b"?"
_HERE: Final = b"0"
_ANSWER_SIZE = 16
_CONNECT_TIMEOUT = 10.0


class Doorkeeper:
    """Opens connections to the Unix socket at ``path``, with the rights that this process has now.

    To be made while there is one thread.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asking, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.fork()
        if child == 0:
            _keep(answering, path)
        answering.close()

    def connect(self) -> socket.socket:
        """Return a new connection; raise ``OSError`` as ``socket.connect`` does."""
        with self._lock:
            self._asking.send(_ASK)
            answer, descriptors, _, _ = socket.recv_fds(self._asking, _ANSWER_SIZE, 1)
        if descriptors:
            os.set_inheritable(descriptors[0], False)  # noqa: FBT003  # its name for it
            return socket.socket(fileno=descriptors[0])
        number = int(answer or errno.ECONNREFUSED)
        raise OSError(number, os.strerror(number), self._path)

    def close(self) -> None:
        """Let the process end."""
        self._asking.close()


def _keep(answering: socket.socket, path: str) -> NoReturn:
    """Answer until the parent is gone; the signals that end it are none of ours."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # Whoever reads the parent's output must not wait for us.
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        kept = answering.fileno()
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        while answering.recv(len(_ASK)):
            _answer(answering, path)
    finally:
        os._exit(0)


def _answer(answering: socket.socket, path: str) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as door:
        door.settimeout(_CONNECT_TIMEOUT)
        try:
            door.connect(path)
        except OSError as error:
            answering.send(str(error.errno or errno.ETIMEDOUT).encode())
            return
        door.setblocking(True)  # noqa: FBT003  # its only parameter
        socket.send_fds(answering, [_HERE], [door.fileno()])
