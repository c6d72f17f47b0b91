"""Inputs of the matrix that are about which buildpacks take part: orders, targets, plans, system buildpacks."""

from parity.case import PLAIN_BUILDPACK, Buildpack, Case, listed
from parity.images import RUN_LABELS, RunImage, base_config

LATEST = ("0.15",)
FAILS = Buildpack("parity/fails", detect="exit 100")
ERRS = Buildpack("parity/errs", detect="echo oops; exit 3")
SEEN = '{ env | grep "^CNB_TARGET_\\|^CNB_EXEC_ENV" | sort; cat "$3"; } >"$1/seen/env"'
"""Puts into a launch layer what a buildpack is told."""


def _order(*groups: str) -> str:
    """Return orders: ids in a group, of version 1.0.0, those with ``?`` optional."""
    lines = []
    for group in groups:
        lines.append("[[order]]")
        for name in group.split():
            lines += ["[[order.group]]", f'id = "{name.rstrip("?")}"', 'version = "1.0.0"']
            lines += ["optional = true"] * name.endswith("?")
    return "\n".join([*lines, ""])


def _seeing(identifier: str, **more: object) -> Buildpack:
    out = listed({"launch.toml": "", "seen.toml": "[types]\nlaunch = true\n", "seen/": ""})
    return Buildpack(identifier, script=SEEN, out=out, **more)


def _targets(name: str, text: str, **more: object) -> Buildpack:
    return Buildpack(f"targets/{name}", more=text, **more)


def _distro(**distro: str) -> str:
    fields = "".join(f'{key} = "{value}"\n' for key, value in distro.items())
    return f'[[targets]]\nos = "linux"\n[[targets.distros]]\n{fields}'


ARM = RunImage(fields={"architecture": "arm64", "variant": "v8"})
CASES = (
    Case("order-composites", "Composite buildpacks in three levels, with optional parts and alternatives.", apis=LATEST, buildpacks=(
        PLAIN_BUILDPACK,
        FAILS,
        Buildpack("m/a", more=_order("m/b parity/fails?")),
        Buildpack("m/b", more=_order("parity/fails parity/one", "m/c? parity/one")),
        Buildpack("m/c", more=_order("parity/fails", "parity/fails?")),
    ), order=_order("parity/fails? m/a")),
    Case("order-repeated", "A buildpack that a group has twice, once in a composite one.", apis=LATEST, buildpacks=(
        PLAIN_BUILDPACK, Buildpack("m/a", more=_order("parity/one"))
    ), order=_order("m/a parity/one parity/one")),
    Case("order-versions", "Two versions of one buildpack in a group.", apis=LATEST, buildpacks=(PLAIN_BUILDPACK, Buildpack(version="2.0.0", out=listed({"b.toml": "[types]\nlaunch = true\n", "b/x": "x"})))),
    Case("order-optional-error", "An optional buildpack whose detection is an error.", apis=LATEST, buildpacks=(ERRS, PLAIN_BUILDPACK), order=_order("parity/errs? parity/one")),
    Case("order-error-then-group", "A group with an error, and one that passes.", apis=LATEST, buildpacks=(ERRS, PLAIN_BUILDPACK), order=_order("parity/errs parity/one", "parity/one")),
    Case("order-all-optional", "A group of optional buildpacks that all fail, and one that passes.", apis=LATEST, buildpacks=(FAILS, PLAIN_BUILDPACK), order=_order("parity/fails?", "parity/one")),
    Case("order-exec-env", "An entry of an order that is for another execution environment.", apis=LATEST, buildpacks=(PLAIN_BUILDPACK, Buildpack("t/t", api="0.12")), order=_order("parity/one t/t") + 'exec-env = ["test"]\n'),
    Case("targets", "Targets that fit, in all their forms.", apis=("0.9", "0.15"), buildpacks=(
        _targets("none", ""),
        _targets("empty", "[[targets]]\n"),
        _targets("os", '[[targets]]\nos = "linux"\n'),
        _targets("arch", '[[targets]]\nos = "linux"\narch = "s390x"\n[[targets]]\narch = "amd64"\n'),
        _targets("distro", _distro(name="debian", version="12")),
        _targets("distro-name", _distro(name="debian")),
        _targets("stack", '[[stacks]]\nid = "parity"\nmixins = ["m", "build:x"]\n'),
        _targets("stack-any", '[[stacks]]\nid = "*"\n'),
        PLAIN_BUILDPACK,
    )),
    Case("targets-optional", "An optional buildpack that is for another target.", apis=LATEST, buildpacks=(Buildpack("targets/windows", more='[[targets]]\nos = "windows"\n', optional=True), PLAIN_BUILDPACK)),
    Case("targets-star", "A target whose os is a star, which has no meaning.", apis=LATEST, fails=True, buildpacks=(_targets("star", '[[targets]]\nos = "*"\narch = "*"\n'),)),
    Case("targets-arch-variant", "A run image with a variant of its architecture, which a buildpack names.", apis=LATEST, run_image=ARM, buildpacks=(
        _seeing("targets/v8", more='[[targets]]\nos = "linux"\narch = "arm64"\narch-variant = "v8"\n'),
    )),
    Case("targets-variant", "A variant by the key of the specification.", apis=LATEST, run_image=ARM, buildpacks=(Buildpack(more='[[targets]]\nos = "linux"\narch = "arm64"\nvariant = "v7"\n'),)),
    Case("target-without-distro", "A run image whose labels name no distribution: that of the build.", apis=("0.9", "0.15"), run_image=RunImage(config=base_config(Labels={})), buildpacks=(_seeing("parity/one"),)),
    Case("target-part-of-distro", "A run image with an empty distribution name, a version and an id.", apis=LATEST, run_image=RunImage(config=base_config(Labels={**RUN_LABELS, "io.buildpacks.base.distro.name": "", "io.buildpacks.base.id": "base"})), buildpacks=(_seeing("parity/one"),)),
    Case("target-without-arch", "A run image that has no architecture.", apis=LATEST, run_image=RunImage(fields={"architecture": ""}), buildpacks=(_seeing("parity/one"),)),
    Case("exec-env-told", "A buildpack that knows execution environments, under Platform APIs that do not.", apis=("0.7", "0.14", "0.15"), env={"CNB_EXEC_ENV": "test"}, buildpacks=(_seeing("parity/one", api="0.12"), _seeing("parity/old", api="0.11"))),
    Case("plan-alternatives", "Alternatives of plans, an optional buildpack whose requirement nobody meets.", apis=LATEST, buildpacks=(
        _seeing("parity/a", plan='[[provides]]\nname = "x"\n[[or]]\n[[or.provides]]\nname = "y"\n[[or]]\n'),
        _seeing("parity/b", optional=True, plan='[[requires]]\nname = "z"\n[[or]]\n[[or.requires]]\nname = "y"\n[or.requires.metadata]\nk = "v"\nt = 07:32:00\nl = [1, {b = 2}]\ni = inf\n"q k" = {}\n'),
        _seeing("parity/c", optional=True, plan='[[requires]]\nname = "nobody"\n'),
        _seeing("parity/d", plan='[[provides]]\nname = "own"\n[[requires]]\nname = "own"\n'),
    )),
    Case("plan-unmet", "What a buildpack leaves unmet comes to the next one that provides it.", apis=("0.7", "0.15"), buildpacks=(
        Buildpack("parity/a", plan='[[provides]]\nname = "dep"\n[[provides]]\nname = "dep"\n', out=listed({"build.toml": '[[unmet]]\nname = "dep"\n[[unmet]]\nname = "dep"\n'})),
        _seeing("parity/b", plan='[[provides]]\nname = "dep"\n[[requires]]\nname = "dep"\n[requires.metadata]\nversion = "1"\n'),
        _seeing("parity/c", plan='[[provides]]\nname = "dep"\n[[requires]]\nname = "dep"\n'),
    )),
    Case("system-composites", "System buildpacks with alternatives, optional ones that fail, one that is in the order.", apis=LATEST, files={
        "cnb/system.toml": '[[pre.buildpacks]]\nid = "m/c"\nversion = "1.0.0"\n[[pre.buildpacks]]\nid = "parity/fails"\nversion = "1.0.0"\noptional = true\n'
        '[[post.buildpacks]]\nid = "parity/one"\nversion = "1.0.0"\n'
    }, buildpacks=(PLAIN_BUILDPACK, FAILS, Buildpack("p/x"), Buildpack("m/c", more=_order("parity/fails", "p/x"))), order=_order("parity/one")),
    Case("system-fails", "A system buildpack that fails.", apis=LATEST, files={"cnb/system.toml": '[[post.buildpacks]]\nid = "parity/fails"\nversion = "1.0.0"\n'}, buildpacks=(PLAIN_BUILDPACK, FAILS), order=_order("parity/one")),
)  # fmt: skip
