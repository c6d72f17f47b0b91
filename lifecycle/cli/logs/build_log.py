"""What a person sees of ``lifecycle build``: headings, each layer's fate, and at the end the image.

The log goes to standard error, so that standard output holds the result alone; ``--json`` makes it one event a line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cli.logs.ansi import PlainOutput, plain
from lifecycle.cli.logs.progress_bar import ProgressBar, is_terminal
from lifecycle.cli.logs.size_text import size_text
from lifecycle.errors import BuildpackBuildError, LifecycleError
from lifecycle.model.cache_report import CacheAction
from lifecycle.rules.detection import Verdict
from lifecycle.rules.detection_explained import fate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.files.modules import Buildpack
    from lifecycle.images.store import WrittenImage
    from lifecycle.model.cache_report import CacheReport, LayerRow
    from lifecycle.model.group import Group
    from lifecycle.model.plan import Plan
    from lifecycle.phases.restore import RestoredLayers
    from lifecycle.rules.detection import Attempt
    from lifecycle.rules.detection_explained import Suggestion
    from lifecycle.rules.export_plan import LayerVerdict

_VERBS: Final = {"add": "added", "reuse": "reused", "refuse": "refused"}
_DIGEST: Final = re.compile(r"(@sha256:[0-9a-f]{12})[0-9a-f]{52}")
_FOR_PLATFORMS: Final = ("Did not find SBOM", "new runtime base image")
"""Beginnings of warnings about files that a platform provides and ``lifecycle build`` has not."""

_KEPT: Final = 64 * 1024
"""How many bytes of a buildpack's output are kept unseen, for the case that it fails."""


class Style(Enum):
    """How much is said, and in which form."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"
    JSON = "json"


def _fate_of(layer: LayerRow, report: CacheReport) -> str:
    """Return what became of a layer, in BuildKit's word where it is the same."""
    if layer.action == CacheAction.REJECTED:
        return f"MISSED {layer.id}{f' of #{layer.source}' if layer.source else ''}: {layer.reason}"
    word = "CACHED" if layer.action == CacheAction.RESTORED else "KEPT"
    size = f", {size_text(layer.bytes)}" if layer.bytes else ""
    other = f", bytes from #{layer.origin}" if layer.origin not in {0, layer.source} else ""
    return f"{word} {layer.id} from {short(report.named(layer.source))} ({layer.match}{size}{other}: {layer.reason})"


def short(name: str) -> str:
    """Return a name with as much of its digest as people read."""
    return _DIGEST.sub(r"\1", name)


def _wants_color() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


class _Handler(logging.Handler):
    """Shows what the phases log: warnings always, the rest with ``--verbose``.

    Errors are left out: the exception that goes with each tells a person more.
    """

    def __init__(self, log: BuildLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR or text.startswith(_FOR_PLATFORMS):
            return
        if record.levelno >= logging.WARNING:
            self._log.warning(text)
        else:
            self._log.detail(text)


@dataclass(slots=True)
class BuildLog:
    """The log of one build."""

    style: Style
    color: bool = field(default_factory=_wants_color)
    started: float = field(default_factory=time.monotonic)
    progress: ProgressBar = field(init=False)
    _mid_line: bool = False
    _plain: PlainOutput = field(default_factory=PlainOutput)
    _unseen: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        talks = self.style in {Style.NORMAL, Style.VERBOSE}
        self.progress = ProgressBar(sys.stderr, shown=talks and is_terminal(sys.stderr))

    def attach(self) -> None:
        """Take the phases' own messages in."""
        logger = logging.getLogger("lifecycle")
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.addHandler(_Handler(self))
        logger.setLevel(logging.DEBUG if self.style is Style.VERBOSE else logging.WARNING)
        logger.propagate = False

    def heading(self, title: str) -> None:
        """Begin a phase."""
        self._event("phase", name=title.lower())
        self._line(self._paint("36;1", f"==> {title}"))

    def note(self, text: str) -> None:
        """Say something of interest in the current phase."""
        self._event("note", text=text)
        self._line(f"    {text}")

    def detail(self, text: str) -> None:
        """Say something for ``--verbose``."""
        if self.style is Style.VERBOSE:
            for line in text.rstrip().splitlines():
                self._line(self._paint("2", f"    {line}"))

    def warning(self, text: str) -> None:
        """Say what may surprise; shown even when quiet."""
        self._event("warning", text=text)
        self._say(f"{self._paint('33;1', 'warning:')} {text}")

    def group(self, group: Group) -> None:
        """Say who takes part."""
        for element in group.group:
            self._event("buildpack", id=element.id, version=element.version)
            self._line(f"    {element.id} {element.version}")
        for element in group.group_extensions:
            self._event("extension", id=element.id, version=element.version)
            self._line(f"    {element.id} {element.version} (image extension)")

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        """Say of each group that was tried what became of its members, and why; shown even when quiet."""
        rows = [[(*fate(account, clean=plain), account) for account in attempt.elements] for attempt in attempts]
        width = max((len(f"{account.id} {account.version}") for row in rows for *_, account in row), default=0)
        for number, row in enumerate(rows, start=1):
            several = len(rows) > 1
            if several:
                self._say(f"    group {number} of {len(rows)}")
            for word, why, account in row:
                self._event("attempt", group=number, id=account.id, version=account.version, fate=word, reason=why)
                name = f"{account.id} {account.version}"
                self._say(f"    {'  ' * several}{word:<7}  {name:<{width}}  {why}".rstrip())
                lines = account.output.rstrip().splitlines()
                # A single line stands above already; --verbose has shown all.
                if account.verdict is Verdict.ERROR and len(lines) > 1 and self.style is not Style.VERBOSE:
                    self._say("\n".join(f"             {'  ' * several}{line}".rstrip() for line in lines))

    def suggestions(self, found: Sequence[Suggestion]) -> None:
        """Say how groups that failed would pass; shown even when quiet."""
        for each in found:
            changes = [str(change) for change in each.changes]
            self._event("suggestion", group=each.group + 1, changes=changes, builds=list(each.taking_part))
            self._say(f"    group {each.group + 1} would pass: {each}")

    def plan(self, plan: Plan) -> None:
        """Say of each dependency who provides it, and what is asked of it."""
        for entry in plan.entries:
            names = list(dict.fromkeys(require.name for require in entry.requires))
            providers = [f"{provider.id} {provider.version}" for provider in entry.providers]
            asked = [require.metadata for require in entry.requires if require.metadata]
            self._event("plan", names=names, providers=providers, metadata=asked)
            told = "; ".join(", ".join(f"{key} = {value}" for key, value in each.items()) for each in asked)
            self._line(f"    {', '.join(names)} from {', '.join(providers)}{f' ({told})' if told else ''}")

    def buildpack(self, buildpack: Buildpack) -> None:
        """Begin a buildpack's turn."""
        self._unseen.clear()
        info = buildpack.descriptor.buildpack
        self._event("build", id=info.id, version=info.version)
        self._line(self._paint("1", f"--> {info.id} {info.version}"))

    def output(self, chunk: bytes) -> None:
        """Pass on what a buildpack prints; when quiet, only the end of it, and only if the buildpack fails."""
        if self.style is Style.QUIET:
            self._unseen += chunk
            del self._unseen[:-_KEPT]
        elif self.style is Style.JSON:
            self._event("output", text=chunk.decode(errors="replace"))
        else:
            self._show(chunk)

    def _show(self, chunk: bytes) -> None:
        shown = chunk if self.color else self._plain(chunk)
        if not shown:
            return
        with self.progress.above():
            sys.stderr.flush()
            sys.stderr.buffer.write(shown)
            sys.stderr.buffer.flush()
        self._mid_line = not shown.endswith(b"\n")

    def restored(self, account: RestoredLayers) -> None:
        """Say of each layer of the last build what came back."""
        for layer in account.layers:
            self._event("restore", layer=layer.id, restored=layer.restored.value, reason=layer.reason)
            self._line(f"    {layer.restored.value:<9} {layer.id}: {layer.reason}")
        if not account.layers:
            self._line("    nothing to restore")

    def restored_from(self, report: CacheReport) -> None:
        """Say of each source what it is, and of each layer which one it comes from or why from none."""
        for source in report.source:
            self._event("cache-source", source=source.struct())
            if source.status == "ok":
                self._line(f"    #{source.index} {short(source.name or source.spec)} ({source.kind})")
        for step in report.step:
            self._event("cache-step", step=step.struct())
            for each in step.preferred():
                self._line(f"    #{each.source} passed over for {step.buildpack}: {each.reason}")
        for layer in report.layer:
            self._event("restore", layer=layer.id, restored=layer.action, reason=layer.reason, cache=layer.struct())
            self._line(f"    {_fate_of(layer, report)}")

    def layer(self, verdict: LayerVerdict) -> None:
        """Say of each layer of the image whether it is new, and why."""
        self._event(
            "layer",
            id=verdict.id,
            action=verdict.action.value,
            reason=verdict.reason,
            diff_id=verdict.diff_id,
            size=verdict.size,
        )
        shown = size_text(verdict.size) if verdict.size else ""
        self._line(f"    {_VERBS[verdict.action.value]:<7} {shown:>9}  {verdict.id}: {short(verdict.reason)}")

    def cached(self, verdict: LayerVerdict) -> None:
        """Say of each cached layer whether it is new, and why."""
        self._event("cache", id=verdict.id, action=verdict.action.value, reason=verdict.reason, size=verdict.size)
        shown = size_text(verdict.size) if verdict.size else ""
        self._line(f"    {_VERBS[verdict.action.value]:<7} {shown:>9}  {verdict.id} in cache: {verdict.reason}")

    def result(self, written: WrittenImage, *, verdicts: tuple[LayerVerdict, ...]) -> None:
        """Say what was built: the log's last words, and standard output's only ones."""
        seconds = time.monotonic() - self.started
        reused = sum(verdict.action.value == "reuse" for verdict in verdicts)
        self._event(
            "image",
            reference=written.reference,
            image_id=written.image_id,
            names=list(written.names),
            layers=len(verdicts),
            reused=reused,
        )
        share = "every layer was reused" if reused == len(verdicts) else f"{reused} of {len(verdicts)} layers reused"
        self._line(self._paint("32;1", f"==> Built in {seconds:.1f} s, {share}"))
        if self.style is not Style.JSON:
            tags = "".join(f"tag       {name}\n" for name in written.names)
            self._out(f"{tags}image     {written.reference}\nimage id  {written.image_id}\n")

    def error(self, error: LifecycleError) -> None:
        """Say what went wrong, where, and what to do."""
        if isinstance(error, BuildpackBuildError) and self._unseen:
            self._show(bytes(self._unseen))
        self._event("error", message=error.message, where=error.where, remedy=error.remedy)
        where = "" if error.where is None else f"{error.where}: "
        self._say(f"{self._paint('31;1', 'error:')} {where}{error.message}")
        if error.remedy:
            self._say(f"       {error.remedy}")

    def _event(self, kind: str, **fields: Any) -> None:
        if self.style is Style.JSON:
            self._out(json.dumps({"event": kind, **fields}) + "\n")

    def _out(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _line(self, text: str) -> None:
        if self.style is not Style.QUIET:
            self._say(text)

    def _say(self, text: str) -> None:
        if self.style is Style.JSON:
            return
        text = text if self.color else plain(text)
        with self.progress.above():
            sys.stderr.write(f"\n{text}\n" if self._mid_line else f"{text}\n")
        self._mid_line = False

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color else text
