"""A socket that is root's alone, for a process that is root no more."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import lifecycle

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a socket that others may not open")

WITHIN = 120.0
_LOOKS_EVERY = 0.1
DROPPED = """
import json, os, socket, sys
from lifecycle.images.daemon.doorkeeper import Doorkeeper
path, script = sys.argv[1:]
secret = os.open("/etc/passwd", os.O_RDONLY)
door = Doorkeeper(path)
keeper = next(int(each) for each in os.listdir("/proc") if each.isdigit() and parent_of(each) == os.getpid())
os.setgroups([])
os.setresgid(1234, 1234, 1234)
os.setresuid(1234, 1234, 1234)
exec(script)
"""
PARENT_OF = """
def parent_of(pid):
    try:
        return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
"""


@pytest.fixture
def server():
    """A server that greets and hangs up, at a socket in a directory that all may enter."""
    with tempfile.TemporaryDirectory(prefix="doorkeeper-") as name, socket.socket(socket.AF_UNIX) as listening:
        Path(name).chmod(0o755)
        path = Path(name, "s.sock")
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()
        listening.settimeout(_LOOKS_EVERY)
        ended = threading.Event()

        def greet():
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listening.accept()
                    connection.sendall(b"welcome")
                    connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        yield path
        ended.set()
        thread.join()


def dropped(path, script):
    """Run a script as another user that has a doorkeeper, and return what it printed."""
    environment = {"PYTHONPATH": str(Path(lifecycle.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", PARENT_OF + DROPPED, str(path), script]
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_connections_are_opened_whenever_they_are_asked_for(server):
    script = """
connections = [door.connect() for _ in range(3)]
greetings = [each.recv(10).decode() for each in connections]
try:
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(path)
    greetings.append("open to all")
except PermissionError:
    pass
print(json.dumps([greetings, [each.get_inheritable() for each in connections]]))
"""
    assert dropped(server, script) == [["welcome"] * 3, [False] * 3]


def test_a_socket_that_is_gone_is_an_error_of_the_system(server):
    script = """
os_error = None
try:
    door.connect()
except OSError as error:
    os_error = [error.errno, error.filename]
print(json.dumps(os_error))
"""
    server.unlink()
    assert dropped(server, script) == [2, str(server)]


def test_the_doorkeeper_ends_with_the_process_and_without_a_trace(server):
    keeper = dropped(server, "print(json.dumps(keeper))")
    until = time.monotonic() + WITHIN
    while time.monotonic() < until and Path(f"/proc/{keeper}").exists() and not _is_zombie(keeper):
        time.sleep(0.01)
    assert not Path(f"/proc/{keeper}").exists() or _is_zombie(keeper)


def _is_zombie(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_it_holds_nothing_else_open_and_listens_to_no_signal(server):
    code = PARENT_OF + DROPPED.replace("os.setgroups([])", "FACTS")
    facts = """
import signal, time
os.kill(keeper, signal.SIGINT); os.kill(keeper, signal.SIGTERM); os.kill(keeper, signal.SIGHUP)
door.connect().recv(10)
until = time.monotonic() + WITHIN
# It lets go of the connection that it made a moment after this process has it.
while len(os.listdir(f"/proc/{keeper}/fd")) > 4 and time.monotonic() < until:
    time.sleep(0.01)
print(json.dumps({n: os.readlink(f"/proc/{keeper}/fd/{n}") for n in os.listdir(f"/proc/{keeper}/fd")}))
""".replace("WITHIN", str(WITHIN))
    environment = {"PYTHONPATH": str(Path(lifecycle.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code.replace("FACTS", facts), str(server), ""]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=WITHIN, check=True)
    descriptors = json.loads(done.stdout)
    assert {descriptors.pop(each) for each in "012"} == {"/dev/null"}
    assert len(descriptors) == 1
    assert next(iter(descriptors.values())).startswith("socket:")
