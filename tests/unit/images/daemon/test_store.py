"""Images in real daemons: Docker's and podman's."""

import io
import logging
import shutil
import subprocess
import sys
import tarfile
import textwrap
from dataclasses import replace

import pytest

from lifecycle.errors import CorruptImageError, ImageError, VerificationError
from lifecycle.images.daemon.store import DaemonStore
from lifecycle.images.store import BlobSource, ReusedLayer
from lifecycle.oci.digest import digest_of
from lifecycle.testing.images import MemoryImages


class Counted:
    """A daemon that notes what is sent to and read from it."""

    def __init__(self, client):
        self._client = client
        self.sent = []
        self.saved = 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    def load(self, archive):
        self.sent.append(0)

        def counted():
            for chunk in archive:
                self.sent[-1] += len(chunk)
                yield chunk

        self._client.load(counted())

    def save(self, image):
        self.saved += 1
        return self._client.save(image)


@pytest.fixture
def counted(daemon):
    return Counted(daemon.client)


def test_what_was_written_is_found_under_every_name(daemon, store, name, tar, new_image, content):
    first, second = tar(a="1"), tar(b="2" * 3_000_000)
    new = new_image(first, second, run={"Labels": {"k": "<v>"}, "Env": ["A=b"], "Cmd": ["x"]})
    names = [name("one"), name("two"), f"registry.example:5000/{name('three')}"]
    written = store.write(new, names)
    assert (written.names, dict(written.failures)) == (tuple(names), {})
    if not daemon.client.keeps_blobs():
        assert written.image_id == digest_of(new.config.dumps())
    assert written.reference == written.image_id.removeprefix("sha256:")
    assert written.digest == ""
    for each in (*names, written.reference, written.image_id):
        image = store.find(each)
        assert image.reference == written.reference
        assert image.config.run == new.config.run
        assert [step.created_by for step in image.config.history] == ["step 0", "step 1"]
        assert content(image) == [first.data, second.data]


def test_the_configuration_comes_back_whole(dockerd, name, tar, new_image):
    run = {
        "Cmd": ["c"],
        "Healthcheck": {"Test": ["CMD", "t"], "Interval": 1_000_000_000, "Retries": 3},
        "Entrypoint": ["e"],
        "Env": ["A=b"],
        "Labels": {"k": "v"},
        "OnBuild": ["RUN x"],
        "User": "1:1",
        "Volumes": {"/v": {}},
        "WorkingDir": "/w",
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGINT",
        "Shell": ["/bin/sh"],
    }
    new = new_image(tar(a="1"), run=run, author="me", variant="v2", os_version="1.2", created="1980-01-01T00:00:01Z")
    store = DaemonStore(dockerd.client)
    store.write(new, [name("app")])
    assert store.find(name("app")).config.dumps() == new.config.dumps()


def test_what_the_api_does_not_tell_is_lost(dockerd, name, tar, new_image):
    new = new_image(tar(a="1"), run={"Hostname": "h", "User": "u"}, docker_version="1", os_features=("f",))
    store = DaemonStore(dockerd.client)
    store.write(new, [name("app")])
    found = store.find(name("app")).config
    assert found == replace(new.config, run={"User": "u"}, docker_version="", os_features=())


def test_what_is_not_there_is_not_found(store, name):
    assert store.find(name("none")) is None
    assert store.find("0123456789ab") is None


def test_layers_of_base_and_previous_image_are_neither_read_nor_sent(counted, name, tar, new_image, content):
    store = DaemonStore(counted)
    big, kept, app = tar(base="b" * 3_000_000), tar(k="k" * 3_000_000), tar(app="1")
    store.write(new_image(big), [name("run")])
    base = store.find(name("run"))
    store.write(new_image(kept, app, base=base), [name("app")])
    previous = store.find(name("app"))
    changed = tar(app="2")
    new = new_image(base=base, reused=[ReusedLayer(previous, kept.diff_id)])
    new = replace(new, layers=(*new.layers, *new_image(changed).layers))
    new = replace(new, config=replace(new.config, diff_ids=(*new.config.diff_ids, changed.diff_id)))
    counted.sent.clear()
    store.write(new, [name("app")])
    # containerd's store tells the blobs of an image only as it is saved; this one has the base's as well.
    assert counted.saved == (2 if counted.keeps_blobs() else 0)
    assert [size < 100_000 for size in counted.sent] == [True]
    assert content(store.find(name("app"))) == [big.data, kept.data, changed.data]


def test_a_reused_layer_above_a_changed_one_is_read_once_and_sent(counted, name, tar, new_image, content):
    store = DaemonStore(counted)
    one, two = tar(k="k" * 1_000_000), tar(l="l" * 1_000_000)
    store.write(new_image(tar(a="1"), one, two), [name("app")])
    previous = store.find(name("app"))
    reused = [ReusedLayer(previous, each.diff_id) for each in (one, two)]
    changed = tar(a="2")
    written = store.write(new_image(changed, reused=reused), [name("app")])
    assert written.names == (name("app"),)
    assert counted.saved == 1
    assert [size < 100_000 for size in counted.sent[1:]] == [counted.keeps_blobs()]
    assert content(store.find(name("app"))) == [changed.data, one.data, two.data]


def test_a_base_that_the_daemon_lost_meanwhile_is_sent(dockerd, name, tar, new_image, content, caplog):
    """Its layers were there when it was asked, and gone when the image arrived."""
    store = DaemonStore(dockerd.client)
    base_tar, app = tar(base=name("base")), tar(app="1")
    store.write(new_image(base_tar), [name("run")])
    base = store.find(name("run"))
    content(base)

    class Forgetful(Counted):
        def load(self, archive):
            if not self.sent:
                self._client.untag(name("run"))
            super().load(archive)

    forgetful = Forgetful(dockerd.client)
    with caplog.at_level(logging.DEBUG, "lifecycle"):
        written = DaemonStore(forgetful).write(new_image(app, base=base), [name("app")])
    assert written.names == (name("app"),)
    assert len(forgetful.sent) == 2
    assert "Loading again with all layers" in caplog.text
    assert content(store.find(name("app"))) == [base_tar.data, app.data]


def test_a_base_of_another_store_is_sent(store, name, tar, new_image, content):
    base_tar, app = tar(base="b"), tar(app="a")
    base = MemoryImages().put(f"registry.example/{name('run')}", layers=[base_tar.data])
    written = store.write(new_image(app, base=base), [name("app")])
    assert written.names == (name("app"),)
    assert content(store.find(name("app"))) == [base_tar.data, app.data]


def test_a_daemon_tells_no_blobs(store, name, tar, new_image):
    store.write(new_image(tar(a="1")), [name("app")])
    image = store.find(name("app"))
    assert not isinstance(image, BlobSource)
    assert [layer.digest for layer in image.manifest.layers] == list(image.config.diff_ids)
    with pytest.raises(CorruptImageError, match="has no layer"):
        image.layer("sha256:" + "0" * 64)


def test_a_name_that_can_not_be_given_fails_alone(store, name, tar, new_image):
    written = store.write(new_image(tar(a="1")), [name("app"), "Not/A:Name", name("other")])
    assert written.names == (name("app"), name("other"))
    assert list(written.failures) == ["Not/A:Name"]
    assert store.find(name("other")).reference == written.reference


def test_an_image_that_breaks_off_leaves_the_old_one(store, name, tar, new_image):
    old = store.write(new_image(tar(a="old")), [name("app")])
    new = new_image(tar(a="fine"), tar(a="x" * 2_000_000))
    new.layers[1].path.write_bytes(b"something else")
    written = store.write(new, [name("app"), name("other")])
    assert written.names == ()
    assert set(written.failures) == {name("app"), name("other")}
    assert str(new.layers[1].path) in written.failures[name("app")]
    assert store.find(name("app")).reference == old.reference
    assert store.find(name("other")) is None


def test_what_a_daemon_saves_is_not_believed(daemon, name, tar, new_image):
    """One that gives the bytes of another image, as a broken disk may."""
    store = DaemonStore(daemon.client)
    layer = tar(a="1" * 3_000_000)
    new = new_image(layer)
    store.write(new, [name("app")])

    class Broken(Counted):
        def save(self, image):
            data = b"".join(super().save(image))
            for stored in (layer.data, new.layers[0].path.read_bytes()):
                middle = len(stored) // 2
                data = data.replace(stored, stored[:middle] + b"\xfe" + stored[middle + 1 :])
            yield data

    image = DaemonStore(Broken(daemon.client)).find(name("app"))
    with pytest.raises((VerificationError, CorruptImageError), match="sha256"):
        list(image.layer(layer.diff_id))


HELLO = """
static long call(long n, long a, long b, long c) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}
void _start(void) { call(1, 1, (long)"hello from the image\\n", 21); call(60, 0, 0, 0); }
"""


@pytest.fixture
def hello(tmp_path):
    """A program that needs no files of the image."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, so there is no static program to run: apt-get install gcc")
    (tmp_path / "hello.c").write_text(HELLO)
    subprocess.run(["gcc", "-static", "-nostdlib", "-O1", "-o", tmp_path / "hello", tmp_path / "hello.c"], check=True)
    return (tmp_path / "hello").read_bytes()


class Program:
    """A layer with a program at /hello."""

    def __init__(self, data):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("hello")
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
        self._tar = buffer.getvalue()

    def chunks(self):
        yield self._tar


def test_an_exported_image_runs(dockerd, name, hello, tar, new_image):
    store = DaemonStore(dockerd.client)
    store.write(new_image(tar(base="b")), [name("run")])
    new = new_image(Program(hello), base=store.find(name("run")), run={"Entrypoint": ["/hello"]})
    store.write(new, [name("app")])
    assert dockerd.docker("run", "--rm", "--network=none", name("app")) == "hello from the image\n"


def test_what_is_read_is_held_in_no_file_that_stays(daemon, name, tar, new_image, content, tmp_path, monkeypatch):
    held = tmp_path / "held"
    held.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(held))
    store = DaemonStore(Counted(daemon.client))
    layers = [tar(a="1"), tar(b="2")]
    store.write(new_image(*layers), [name("app")])
    for _ in range(2):
        assert content(store.find(name("app"))) == [layer.data for layer in layers]
    assert store._client.saved == 1
    assert list(held.iterdir()) == []


def test_no_room_for_what_is_read_is_told(daemon, name, tar, new_image, tmp_path, monkeypatch):
    store = DaemonStore(daemon.client)
    layer = tar(a="1")
    store.write(new_image(layer), [name("app")])
    image = store.find(name("app"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(ImageError, match="can't be held: No such file or directory; set TMPDIR"):
        list(image.layer(layer.diff_id))


def test_a_process_that_gave_up_root_goes_on(dockerd, name, tar, new_image):
    """The socket is root's alone; the connection that root opened serves the user too."""
    code = textwrap.dedent(
        f"""
        import os
        from lifecycle.images.daemon.store import open_daemon
        from lifecycle.images.store import NewImage
        store = open_daemon({dockerd.environment!r})
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        assert store.find({name("none")!r}) is None
        image = store.find({name("app")!r})
        print(sum(len(chunk) for chunk in image.layer(image.config.diff_ids[0])) > 0)
        print(*store.write(NewImage(image, (), image.config), [{name("again")!r}]).names)
        try:
            open_daemon({dockerd.environment!r})
        except Exception as error:
            print(error)
        """
    )
    DaemonStore(dockerd.client).write(new_image(tar(a="1")), [name("app")])
    dockerd.socket.chmod(0o660)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.stderr == ""
    read, written, new_connection = done.stdout.splitlines()
    assert (read, written) == ("True", name("again"))
    assert "may not be used by this user (uid 65534); add the user to the group that owns the socket" in new_connection
