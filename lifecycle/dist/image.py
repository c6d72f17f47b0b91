"""The lifecycle image: what platforms run untrusted builders' analyzer, restorer and exporter in, and layers from.

pack and kpack lay its last layer over other images (spec/clients.md): that one has all of the lifecycle, and no more.
Reference: tools/image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.dist.archive import members
from lifecycle.dist.contents import DESCRIPTOR, Contents
from lifecycle.dist.descriptor import image_labels
from lifecycle.images.store import NewImage
from lifecycle.layers.blob import write_blob
from lifecycle.layers.members import Member, Members, made_directory
from lifecycle.layers.tar import Entry, Kind
from lifecycle.oci.config import HistoryEntry, ImageConfig

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.dist.target import Target

_SYSTEM = Contents(
    {},
    {
        "passwd": b"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
        "group": b"root:x:0:\nnogroup:x:65534:\n",
        "nsswitch.conf": b"hosts: files dns\n",
    },
)
_STICKY = 0o1777
_TIME = "1980-01-01T00:00:01Z"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def lifecycle_image(contents: Contents, descriptor: str, target: Target, version: str, work_dir: Path) -> NewImage:
    """Return the image for ``target``, with its two layers, of names and of the lifecycle, below ``work_dir``."""
    toml = members(Contents({}, {DESCRIPTOR: descriptor.encode()}), "/cnb", work_dir / "image" / "descriptor")
    system = (
        made_directory(b"/etc"),
        *members(_SYSTEM, "/etc", work_dir / "image" / "system"),
        made_directory(b"/root"),
        Member(Entry(b"/tmp", Kind.DIRECTORY, _STICKY)),  # in the image
    )
    lifecycle = (
        made_directory(b"/cnb"),
        made_directory(b"/cnb/lifecycle"),
        *members(contents, "/cnb/lifecycle", work_dir / "image" / "lifecycle"),
        *toml,
    )
    layers = tuple(write_blob(Members(each), work_dir) for each in (system, lifecycle))
    run = {"Env": [_PATH], "Labels": image_labels(version), "WorkingDir": "/layers"}
    history = tuple(HistoryEntry(created=_TIME, created_by=what) for what in ("users", f"lifecycle {version}"))
    config = ImageConfig(
        target.arch, "linux", tuple(layer.diff_id for layer in layers), history=history, run=run, created=_TIME
    )
    return NewImage(None, layers, config)
