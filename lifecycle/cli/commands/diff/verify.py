"""``lifecycle verify``: two builds that have nothing in common but their inputs, and what came out differently.

What is varied is a choice of what other tools for reproducible builds vary: what buildpacks can see, and what costs
nothing.  A build sets its own umask and hides most variables from buildpacks, so these are not among it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from lifecycle.cli.commands.diff.compared_images import Compared, compare
from lifecycle.cli.commands.diff.difference_json import first_value, value_of
from lifecycle.cli.commands.diff.difference_view import first_lines, lines_of
from lifecycle.cli.commands.own_command import own_command
from lifecycle.differences.causes import Circumstances
from lifecycle.errors import CorruptImageError, InvalidInputError, LifecycleError
from lifecycle.executables.process import Command, run_process
from lifecycle.files.removal import remove_tree
from lifecycle.files.work_dir import work_directory
from lifecycle.images.layout import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.cli.logs.build_log import BuildLog

_NAMES: Final = ("first", "second")
_DIRECTORIES: Final = ("a", "another-place")
"""Of other lengths, so that paths of them change offsets too."""

_STATE: Final = "state"
_HOSTS: Final = ("host-one", "another-host")
_NOT_PASSED: Final = (
    "SOURCE_DATE_EPOCH", "PYTHONHASHSEED", "CNB_CACHE_FROM", "CNB_CACHE_TO", "CNB_CACHE_REPO",
)  # fmt: skip
_CREDENTIALS: Final = (".docker", ".config/containers")
_COARSEST: Final = 2
"""Seconds that the coarsest time in a common format counts: that of zip."""

_PATH_CAUSE: Final = "a path of the build: write those of the image (CNB_LAYERS_DIR, the app's directory), or none"
_HOST_CAUSE: Final = "the name of the host"
_PROCESSORS_CAUSE: Final = "the number of processors"
_HOST_NAME: Final = "HOST-NAME"
_SET_HOST: Final = 'echo "$0" >/proc/sys/kernel/hostname 2>/dev/null; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What a person asked for; ``arguments`` are options and operands of a build, without those that name places."""

    arguments: tuple[tuple[str, ...], tuple[str, ...]]
    keep: Path | None = None
    everything: bool = False
    as_json: bool = False
    quiet: bool = False


def verify(request: VerifyRequest, *, environment: Mapping[str, str], out: TextIO, log: BuildLog) -> int:
    """Build twice and print how the images differ; return the exit code: 0 if they don't, that of a failed build.

    Raises ``LifecycleError``.
    """
    if request.keep is not None:
        _check_empty(request.keep)
    with work_directory("verify") as root:
        places = [_Place(root / name, root / _STATE, host) for name, host in zip(_DIRECTORIES, _HOSTS, strict=True)]
        layouts = [(request.keep or root / "images") / name for name in _NAMES]
        prefix = _hostname_prefix(environment)
        for index, (place, layout) in enumerate(zip(places, layouts, strict=True)):
            log.heading(f"Build {index + 1} of {len(places)}")
            if index:
                _wait_for_another_time()
            with _fewer_processors(wanted=index > 0):
                code = place.build(
                    request, layout, environment, [place.host if each == _HOST_NAME else each for each in prefix]
                )
            if code:
                if index:
                    log.note("the first build did not fail")
                return code
        log.heading("Comparing")
        first, second = (_image(name, layout) for name, layout in zip(_NAMES, layouts, strict=True))
        found = compare(first, second, circumstances=_circumstances(places))
        if request.as_json:
            value = {
                "reproducible": found.identical,
                "first-difference": first_value(found),
                "difference": value_of(found),
            }
            out.write(json.dumps(value, indent=2) + "\n")
        elif found.identical:
            out.write(f"reproducible: both builds made {found.first.image_id}\n")
        else:
            out.writelines(f"{line}\n" for line in ("not reproducible", *first_lines(found), ""))
            out.writelines(f"{line}\n" for line in lines_of(found, everything=request.everything))
        return 0 if found.identical else 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one of the builds has all that is its own.

    ``state`` is in the same place for both: on a host that forbids namespaces it shows in the paths of layers, which is
    not the buildpack's doing.
    """

    path: Path
    state: Path
    host: str

    def build(self, request: VerifyRequest, layout: Path, environment: Mapping[str, str], prefix: Sequence[str]) -> int:
        """Build into ``layout`` and return the exit code; what is printed is kept back if the user wants it quiet."""
        options, operands = request.arguments
        own = ("--output", f"oci:{layout.absolute()}", "--cache-dir", str(self.path / "cache"))
        printed = self.path / "printed"
        self.path.mkdir(parents=True)
        remove_tree(self.state)
        argv = (*prefix, *own_command(), "build", *options, *own, "--", *operands)
        command = Command(argv, cwd=Path.cwd(), env=self._environment(environment))
        with printed.open("wb") as file:

            def keep(chunk: bytes) -> None:
                file.write(chunk)

            code = run_process(command, output=keep if request.quiet else _to_standard_error)
        if code and request.quiet:
            _to_standard_error(printed.read_bytes())
        return code if code >= 0 else 128 - code

    def _environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in environment.items() if name not in _NOT_PASSED}
        own = {
            "HOME": self.path / "home",
            "XDG_STATE_HOME": self.state,
            "XDG_CACHE_HOME": self.path / "caches",
            "TMPDIR": self.path / "temporary",
        }
        for path in own.values():
            path.mkdir()
        _link_credentials(environment.get("HOME", ""), own["HOME"])
        search = f"{kept.get('PATH') or os.defpath}:{self.path / 'bin'}"
        return kept | {name: str(value) for name, value in own.items()} | {"PATH": search, "HOSTNAME": self.host}


def _to_standard_error(chunk: bytes) -> None:
    sys.stderr.write(chunk.decode("utf-8", "replace"))
    sys.stderr.flush()


def _link_credentials(real: str, home: Path) -> None:
    """Let a build find what it needs to read images of this user's registries."""
    for name in _CREDENTIALS:
        target = Path(real, name).absolute()
        if real and target.exists():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).symlink_to(target)


def _check_empty(path: Path) -> None:
    try:
        if path.exists() and any(path.iterdir()):
            raise InvalidInputError("is not empty", where=path, remedy="choose a new directory for --keep")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LifecycleError(f"can't be written: {error.strerror}", where=path, remedy="correct --keep") from error


def _hostname_prefix(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return what gives a process another host's name, in the place of ``_HOST_NAME``; nothing if that can't be."""
    found = shutil.which("unshare", path=environment.get("PATH"))
    if found is None or os.geteuid() != 0:
        return ()
    prefix = (found, "--uts", "sh", "-c", _SET_HOST, _HOST_NAME)
    probe = Command((*prefix, "true"), cwd=Path.cwd(), env=dict(environment))
    return prefix if run_process(probe, output=lambda _: None) == 0 else ()


def _wait_for_another_time() -> None:
    """Let no time of the next build be the same as one of the build before, not even in a zip archive."""
    time.sleep(_COARSEST - time.time() % _COARSEST)


@contextmanager
def _fewer_processors(*, wanted: bool) -> Iterator[None]:
    """Start processes on one processor less, if there are several."""
    usable = os.sched_getaffinity(0)
    if not wanted or len(usable) == 1:
        yield
        return
    os.sched_setaffinity(0, usable - {max(usable)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def _image(name: str, layout: Path) -> Compared:
    image = DirectoryStore(layout).find("")
    if image is None:
        raise CorruptImageError("holds no image", where=layout)
    return Compared(f"{name} build", image)


def _circumstances(places: Sequence[_Place]) -> Circumstances:
    first, second = places
    processors = len(os.sched_getaffinity(0))
    return Circumstances(
        (
            (os.fsencode(first.path), os.fsencode(second.path), _PATH_CAUSE),
            (first.host.encode(), second.host.encode(), _HOST_CAUSE),
        ),
        ((b"%d" % processors, b"%d" % (processors - 1), _PROCESSORS_CAUSE),),
    )
