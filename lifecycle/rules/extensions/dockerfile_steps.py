"""What a Dockerfile does to an image: what is to be run and copied, in which environment, and the configuration then.

Nothing here looks at a file system: user names stay names, and sources of copies patterns.
Spec: image_extension.md "Dockerfile Requirements", "Phase: Extension".  Reference: the Dockerfile reference of Docker.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.rules.extensions.dockerfile_arguments import json_list, names_with_values, refused, take_flags, words
from lifecycle.rules.extensions.dockerfile_syntax import DockerfileError, parse_triggers
from lifecycle.rules.extensions.dockerfile_words import WordError, expand, expand_content, split
from lifecycle.rules.extensions.healthcheck import healthcheck
from lifecycle.rules.extensions.run_mounts import empty_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.rules.extensions.dockerfile_syntax import Dockerfile, Heredoc, Instruction
    from lifecycle.rules.extensions.run_mounts import EmptyDirectory

DEFAULT_SHELL = ("/bin/sh", "-c")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_OCTAL = re.compile(r"[0-7]{3,5}\Z")
_PORT = re.compile(
    r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?(?:/(?P<protocol>tcp|udp|sctp))?\Z", re.ASCII | re.IGNORECASE
)
_MAX_PORT = 65535
_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|git@", re.IGNORECASE)
_FETCHED = re.compile(r"https?://[^/?#@\s]+(?:[/?#][^\s]*)?\Z", re.IGNORECASE)
_REPOSITORY = re.compile(r"[^#]*\.git(?:#.*)?\Z")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class RunAction:
    """A command to run; with ``script`` that text is a file to be run instead.

    It finds the directories ``emptied`` empty, and what it writes there is not kept.
    """

    argv: tuple[str, ...]
    script: str = ""
    emptied: tuple[EmptyDirectory, ...] = ()


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file whose content is in the Dockerfile."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class CopyAction:
    """Files to copy from the build context; ``destination`` is absolute, a slash at its end means a directory.

    ``owner`` is ``user[:group]``, ``""`` for root; ``mode`` is ``None`` where files keep theirs; ``unpacks`` tar
    archives.  ``urls`` are files to fetch; a ``checksum`` is that of the only one.
    """

    sources: tuple[str, ...]
    inline: tuple[InlineFile, ...]
    destination: str
    owner: str
    mode: int | None
    unpacks: bool
    urls: tuple[str, ...] = ()
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class DirectoryAction:
    """A directory to make if it is missing."""

    path: str


Action = RunAction | CopyAction | DirectoryAction


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction that changes files: in which environment, directory and user's name it does so."""

    instruction: Instruction
    action: Action
    env: Mapping[str, str]
    user: str
    working_dir: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A Dockerfile, ready to be carried out; ``config`` and ``author`` are those of the image after it.

    ``labels`` are those that this Dockerfile itself sets.
    """

    steps: tuple[Step, ...]
    config: Mapping[str, Any]
    author: str
    labels: Mapping[str, str]


def evaluate(
    dockerfile: Dockerfile, config: Mapping[str, Any], build_args: Mapping[str, str], *, author: str = ""
) -> Applied:
    """Say what a Dockerfile of one stage does to an image with that run configuration; raise ``DockerfileError``.

    The image's ``OnBuild`` comes first, and is gone then.  Reference: the Dockerfile reference, "ONBUILD"; kaniko too.
    """
    run = dict(config)
    triggers = parse_triggers(run.pop("OnBuild", None) or ())
    evaluation = _Evaluation(run, build_args, dockerfile.escape, author)
    if len(dockerfile.stages) > 1:
        raise DockerfileError("has more than one FROM: an extension can't use multistage builds")
    instructions: list[tuple[Callable[[_Evaluation, Instruction], None], Instruction]]
    instructions = [(_Evaluation.global_arg, each) for each in dockerfile.arguments]
    instructions += [(_INSTRUCTIONS[each.keyword], each) for each in triggers]
    instructions += [(_INSTRUCTIONS[each.keyword], each) for stage in dockerfile.stages for each in stage.instructions]
    for carry_out, instruction in instructions:
        try:
            carry_out(evaluation, instruction)
        except WordError as error:
            raise refused(instruction, f"can't be understood: {error}") from error
    return Applied(tuple(evaluation.steps), evaluation.config, evaluation.author, evaluation.labels)


@dataclass(slots=True)
class _Evaluation:
    config: dict[str, Any]
    build_args: Mapping[str, str]
    escape: str
    author: str
    steps: list[Step] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    global_args: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    has_cmd: bool = False

    @property
    def env(self) -> dict[str, str]:
        """The variables of the image."""
        return dict(entry.partition("=")[::2] for entry in self.config.get("Env") or ())

    @property
    def variables(self) -> dict[str, str]:
        """All variables that instructions see: those of the image win over arguments."""
        return {**self.args, **self.env}

    @property
    def working_dir(self) -> str:
        return self.config.get("WorkingDir") or "/"

    def expand(self, text: str) -> str:
        return expand(text, self.variables, escape=self.escape)

    def step(self, instruction: Instruction, action: Action) -> None:
        env = self.variables
        env.setdefault("PATH", DEFAULT_PATH)
        self.steps.append(Step(instruction, action, env, self.config.get("User") or "", self.working_dir))

    def global_arg(self, instruction: Instruction) -> None:
        for name, default in _args(instruction, self.escape):
            if name in self.build_args:
                self.global_args[name] = self.build_args[name]
            elif default is not None:
                self.global_args[name] = expand(default, self.global_args, escape=self.escape)

    def arg(self, instruction: Instruction) -> None:
        for name, default in _args(instruction, self.escape):
            if name in self.build_args:
                self.args[name] = self.build_args[name]
            elif default is not None:
                self.args[name] = self.expand(default)
            elif name in self.global_args:
                self.args[name] = self.global_args[name]

    def set_env(self, instruction: Instruction) -> None:
        pairs = names_with_values(instruction, escape=self.escape)
        new = {self.expand(name): self.expand(value) for name, value in pairs}
        if "" in new:
            raise refused(instruction, "names can not be blank")
        self.config["Env"] = [f"{name}={value}" for name, value in (self.env | new).items()]

    def label(self, instruction: Instruction) -> None:
        pairs = names_with_values(instruction, escape=self.escape)
        new = {self.expand(name): self.expand(value) for name, value in pairs}
        if "" in new:
            raise refused(instruction, "names can not be blank")
        self.labels |= new
        self.config["Labels"] = {**(self.config.get("Labels") or {}), **new}

    def run(self, instruction: Instruction) -> None:
        flags, text = take_flags(instruction, frozenset({"mount", "network"}))
        if dict(flags).get("network", "default") != "default":
            raise refused(instruction, "can't choose another network than that of the container")
        mounts = [self.expand(value) for name, value in flags if name == "mount"]
        emptied = empty_directories(instruction, mounts, absolute=lambda path: self._absolute(path, instruction))
        argv = json_list(text)
        if argv is not None and not instruction.heredocs:
            if not argv or not argv[0]:
                raise refused(instruction, "has no command")
            self.step(instruction, RunAction(argv, emptied=emptied))
            return
        shell = tuple(self.config.get("Shell") or DEFAULT_SHELL)
        match instruction.heredocs:
            case [heredoc] if text == heredoc.word and heredoc.content.startswith("#!"):
                self.step(instruction, RunAction((), heredoc.content, emptied))
            case [heredoc] if text == heredoc.word:
                self.step(instruction, RunAction((*shell, heredoc.content), emptied=emptied))
            case heredocs:
                bodies = "".join(f"\n{each.content}{each.name}" for each in heredocs)
                self.step(instruction, RunAction((*shell, text + bodies), emptied=emptied))

    def copy(self, instruction: Instruction) -> None:
        unpacks = instruction.keyword == "ADD"
        found, text = take_flags(instruction, frozenset({"chown", "chmod", "link", "checksum" if unpacks else "from"}))
        flags = dict(found)
        if "from" in flags:
            raise refused(
                instruction, "can't copy from another image or stage: let bin/generate put the files into its context"
            )
        *sources, destination = words(text) or ("",)
        if not sources:
            raise refused(instruction, "requires at least one source and one destination")
        inline, paths = self._inline(instruction, sources)
        urls = tuple(each for each in paths if unpacks and _REMOTE.match(each))
        checksum = self._checksum(instruction, flags, urls, sources)
        target = self._absolute(self.expand(destination), instruction)
        if len(sources) > 1 and not target.endswith("/"):
            raise refused(instruction, "has several sources, so its destination must be a directory and end with a /")
        mode = self.expand(flags["chmod"]) if "chmod" in flags else ""
        if mode and not _OCTAL.match(mode):
            raise refused(instruction, f"has the mode {mode!r}, expected octal digits as in --chmod=755")
        self.step(
            instruction,
            CopyAction(
                tuple(each for each in paths if each not in urls),
                inline,
                target,
                self.expand(flags.get("chown", "")),
                int(mode, 8) if mode else None,
                unpacks,
                urls,
                checksum,
            ),
        )

    def _checksum(
        self, instruction: Instruction, flags: Mapping[str, str], urls: tuple[str, ...], sources: list[str]
    ) -> str:
        """Return the checksum of what is fetched, ``""`` without one; what can't be fetched is refused."""
        other = next((each for each in urls if not _FETCHED.match(each) or _REPOSITORY.match(each)), None)
        if other:
            shown = other.rpartition("@")[2]
            raise refused(instruction, f"can't fetch {shown}: use RUN with a program of the image that can")
        if "checksum" not in flags:
            return ""
        checksum = self.expand(flags["checksum"])
        if not _CHECKSUM.match(checksum) or len(sources) > 1 or not urls:
            raise refused(instruction, "has --checksum, which is sha256: and 64 digits of one https file")
        return checksum

    def _inline(self, instruction: Instruction, sources: list[str]) -> tuple[tuple[InlineFile, ...], tuple[str, ...]]:
        heredocs: dict[str, Heredoc] = {each.word: each for each in instruction.heredocs}
        found, paths = [], []
        for source in sources:
            if source in heredocs:
                heredoc = heredocs[source]
                content = heredoc.content if heredoc.literal else expand_content(heredoc.content, self.variables)
                found.append(InlineFile(heredoc.name, content))
            else:
                paths.append(self.expand(source))
        return tuple(found), tuple(paths)

    def workdir(self, instruction: Instruction) -> None:
        path = self._absolute(self.expand(instruction.arguments), instruction)
        self.config["WorkingDir"] = path = posixpath.normpath(path)
        self.step(instruction, DirectoryAction(path))

    def _absolute(self, path: str, instruction: Instruction) -> str:
        """Return a path of the same meaning that begins with a slash, and ends with one if it is a directory's."""
        if not path:
            raise refused(instruction, "has an empty path")
        is_directory = path.endswith(("/", "/.", "/..")) or path in {".", ".."}
        joined = posixpath.normpath(posixpath.join("/", self.working_dir, path))
        joined = "/" + joined.lstrip("/")
        return f"{joined}/" if is_directory and joined != "/" else joined

    def user(self, instruction: Instruction) -> None:
        found = self.expand(instruction.arguments).strip()
        if not found or found.startswith(":") or len(found.split()) != 1:
            raise refused(instruction, f"names no user: {instruction.arguments}")
        self.config["User"] = found

    def shell(self, instruction: Instruction) -> None:
        found = json_list(instruction.arguments)
        if not found:
            raise refused(instruction, "requires the arguments to be in JSON form")
        self.config["Shell"] = list(found)

    def _command(self, instruction: Instruction) -> list[str]:
        found = json_list(instruction.arguments)
        if found is None:
            return [*(self.config.get("Shell") or DEFAULT_SHELL), instruction.arguments]
        return list(found)

    def cmd(self, instruction: Instruction) -> None:
        self.config["Cmd"] = self._command(instruction)
        self.has_cmd = True

    def entrypoint(self, instruction: Instruction) -> None:
        self.config["Entrypoint"] = self._command(instruction)
        if not self.has_cmd:
            self.config.pop("Cmd", None)

    def expose(self, instruction: Instruction) -> None:
        ports = dict(self.config.get("ExposedPorts") or {})
        for word in (part for each in split(instruction.arguments) for part in self.expand(each).split()):
            match = _PORT.match(word)
            first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
            if match is None or not first <= last <= _MAX_PORT:
                raise refused(instruction, f"can't understand the port {word!r}, expected as in 8080/tcp")
            protocol = (match["protocol"] or "tcp").lower()
            ports |= {f"{port}/{protocol}": {} for port in range(first, last + 1)}
        self.config["ExposedPorts"] = ports

    def volume(self, instruction: Instruction) -> None:
        paths = [self.expand(each).strip() for each in words(instruction.arguments)]
        if not paths or "" in paths:
            raise refused(instruction, "specified can not be an empty string")
        self.config["Volumes"] = {**(self.config.get("Volumes") or {}), **{path: {} for path in paths}}

    def stopsignal(self, instruction: Instruction) -> None:
        self.config["StopSignal"] = self.expand(instruction.arguments)

    def healthcheck(self, instruction: Instruction) -> None:
        self.config["Healthcheck"] = healthcheck(instruction)

    def maintainer(self, instruction: Instruction) -> None:
        self.author = instruction.arguments

    def onbuild(self, instruction: Instruction) -> None:
        self.config["OnBuild"] = [*(self.config.get("OnBuild") or ()), instruction.arguments]


_INSTRUCTIONS: dict[str, Callable[[_Evaluation, Instruction], None]] = {
    "ADD": _Evaluation.copy,
    "ARG": _Evaluation.arg,
    "CMD": _Evaluation.cmd,
    "COPY": _Evaluation.copy,
    "ENTRYPOINT": _Evaluation.entrypoint,
    "ENV": _Evaluation.set_env,
    "EXPOSE": _Evaluation.expose,
    "HEALTHCHECK": _Evaluation.healthcheck,
    "LABEL": _Evaluation.label,
    "MAINTAINER": _Evaluation.maintainer,
    "ONBUILD": _Evaluation.onbuild,
    "RUN": _Evaluation.run,
    "SHELL": _Evaluation.shell,
    "STOPSIGNAL": _Evaluation.stopsignal,
    "USER": _Evaluation.user,
    "VOLUME": _Evaluation.volume,
    "WORKDIR": _Evaluation.workdir,
}


def _args(instruction: Instruction, escape: str) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for word in split(instruction.arguments, escape=escape):
        name, equals, default = word.partition("=")
        if not name:
            raise refused(instruction, "names can not be blank")
        found.append((name, default if equals else None))
    return found
