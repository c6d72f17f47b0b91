"""Inputs of the matrix that are about what is in the app directory and in slices."""

import contextlib
import os
import stat

from parity.case import Buildpack, Case, Tree, listed

LONG_PART = 120


def _names_at_limits(tree: Tree) -> None:
    # /workspace/ is 11 bytes long; a header holds 100 bytes of name and 155 of prefix.
    for length in (99, 100, 101, 155, 156, 157, 254, 255, 256, 257, 300):
        left = length - len("/workspace/")
        parts = []
        while left > LONG_PART:
            parts.append("d" * 49)
            left -= 50
        tree.file("/".join([*parts, "f" * max(left, 1)]) + f"{length}"[-1])
    tree.file("a" * 150 + "/x")
    tree.file("b" * 98)
    tree.file("c" * 88)
    tree.file("c" * 89)
    tree.file("c" * 90)
    tree.directory("e" * 88)
    tree.directory("e" * 89)
    tree.directory("e" * 120 + "/" + "g" * 120)
    tree.file("h" * 200 + "/" + "i" * 200)


def _names_in_utf8(tree: Tree) -> None:
    for name in (
        "é",
        "日本語/ファイル",
        "emoji 😀.txt",
        "e\u0301",
        "\u2028",
        "\ufeffbom",
        "x" * 95 + "ü" * 10,
        "ü" * 90,
    ):
        tree.file(name)
    tree.symlink("link-é", "é")
    tree.symlink("to-long", "ö" * 70)


def _names_in_bytes(tree: Tree) -> None:
    for name in (b"\xff", b"caf\xe9", b"\x80\x81/\xfe", b"ok", b"\xed\xa0\x80", b"x" * 110 + b"\xff"):
        tree.file(name)
    tree.symlink(b"link-\xff", b"caf\xe9")


def _odd_names(tree: Tree) -> None:
    for name in (
        "new\nline", "tab\t", 'quo"te', "back\\slash", "sp ace", " lead", "trail ", "-dash", "a*b", "[x]", "{y}", "#", "$HOME",
        "..x", "...", "a=b", "\x01", "\x7f", "%41", "PaxHeaders.0/x", "x/PaxHeaders.0", "=" * 120, "new\n" * 40,
    ):  # fmt: skip
        tree.file(name)


def _order(tree: Tree) -> None:
    for name in ("a", "a-b", "a.b", "a0"):
        tree.file(name)
    for name in ("b/x", "b-c/x", "b.c/x", "b0/x", "B/x", "b /x", "b!/x"):
        tree.file(name)


def _symlinks(tree: Tree) -> None:
    tree.file("dir/file")
    for name, target in (
        ("to-file", "dir/file"),
        ("to-dir", "dir"),
        ("absolute", "/workspace/dir"),
        ("outside", "/etc/passwd"),
        ("dangling", "nowhere"),
        ("self", "self"),
        ("loop-a", "loop-b"),
        ("loop-b", "loop-a"),
        ("parent", ".."),
        ("root", "/"),
        ("dotted", "./dir/../dir/file"),
        ("trailing", "dir/"),
        ("target-100", "t" * 100),
        ("target-101", "t" * 101),
        ("target-300", "t/" * 150),
        ("dir/up", "../dir"),
    ):
        tree.symlink(name, target)
    tree.symlink("s" * 120, "u" * 200)


def _hard_links(tree: Tree) -> None:
    tree.file("one", "same content\n")
    tree.hard_link("two", "one")
    tree.hard_link("dir/three", "one")


def _modes(tree: Tree) -> None:
    for mode in (0o644, 0o755, 0o600, 0o400, 0o444, 0o777, 0o666, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777, 0o4644):
        tree.file(f"file-{mode:o}", mode=mode)
    for mode in (0o755, 0o700, 0o777, 0o1777, 0o2775, 0o3777, 0o555, 0o500, 0o4755):
        tree.directory(f"dir-{mode:o}", mode=mode)
    tree.file("in/f", mode=0o700)


def _special(tree: Tree) -> None:
    tree.fifo("pipe")
    tree.fifo("dir/pipe-600", 0o600)
    tree.socket("socket")
    tree.socket("only-socket/s")
    tree.file("file")


def _devices(tree: Tree) -> None:
    tree.device("null", stat.S_IFCHR, 1, 3)
    tree.device("disk", stat.S_IFBLK, 8, 1)
    tree.device("big", stat.S_IFCHR, 511, 1048575)


def _owners(tree: Tree) -> None:
    tree.file("root-owned")
    tree.chown("root-owned", 0, 0)
    tree.file("dir/other")
    tree.chown("dir/other", 4242, 4343)
    tree.chown("dir", 4242, 4343)


def _unreadable(tree: Tree) -> None:
    tree.file("secret", mode=0o000)


def _unreadable_directory(tree: Tree) -> None:
    tree.directory("closed", mode=0o000)


def _empty_files(tree: Tree) -> None:
    tree.file("empty", b"")
    tree.directory("dir")
    tree.directory("deep/er/est")
    for size in (1, 511, 512, 513, 1024, 10240, 262143, 262144, 262145):
        tree.file(f"size-{size}", b"x" * size)


def _many(tree: Tree) -> None:
    for index in range(400):
        tree.file(f"d{index % 20}/e{index % 7}/f{index}", f"{index}\n")


def sliced(*slices: tuple[str, ...], more: str = "") -> Buildpack:
    """Return a buildpack that asks for slices."""
    tables = "".join(f"[[slices]]\npaths = [{', '.join(map(quoted, paths))}]\n" for paths in slices)
    return Buildpack(out=listed({"launch.toml": tables + more}))


def quoted(text: str) -> str:
    """Return a literal TOML string."""
    return f"'{text}'"


def _for_slices(tree: Tree) -> None:
    for name in (
        "index.html", "public/a.css", "public/b.css", "public/img/1.png", "public/img/2.png", "public-x/y", "src/a.py", "src/b.py",
        "src/c/d.py", "node_modules/m/index.js", "node_modules/n/index.js", ".hidden", "a[b]c", "a-b", "a/x", "dir/sub/deep/file",
    ):  # fmt: skip
        tree.file(name)
    tree.directory("empty/inner")
    tree.symlink("public/link", "img")
    tree.symlink("link-to-src", "src")


def _slice_case(name: str, description: str, *slices: tuple[str, ...], fails: bool = False) -> Case:
    return Case(f"slices-{name}", description, app=_for_slices, buildpacks=(sliced(*slices),), fails=fails)


def _deep(tree: Tree) -> None:
    tree.file("/".join(["d" * 30] * 60) + "/f")
    tree.file("/".join(["x" * 200] * 10) + "/" + "y" * 255)
    tree.directory("/".join(["e" * 10] * 150))
    tree.file("ü" * 127)
    tree.file("\n" * 255)


def _found_in_apps(tree: Tree) -> None:
    for name in (".git/HEAD", ".profile", ".wh.foo", ".wh..wh..opq", "a/.wh.b", "Procfile"):
        tree.file(name)
    tree.symlink("latest", "./releases/1")
    tree.sparse("sparse", 3 << 20)
    tree.file("labelled")
    with contextlib.suppress(OSError):  # older file systems in memory hold none; the image is the same
        os.setxattr(tree.root + b"/labelled", b"user.a", b"v")


CASES = (
    Case("deep", "Trees of 60 and 150 directories, names of 255 bytes.", app=_deep, apis=("0.15",)),
    Case("found-in-apps", "Names of whiteouts, hidden files, holes, extended attributes.", app=_found_in_apps, apis=("0.15",)),
    Case("plain", "Two files, one buildpack with one layer and one process."),
    Case("empty-app", "An app directory without anything in it.", app=lambda tree: None),
    Case("empty-files", "Empty files and directories, sizes around tar blocks and read buffers.", app=_empty_files),
    Case("long-names", "Names of 99 to 400 bytes: split prefixes and PAX paths.", app=_names_at_limits),
    Case("utf8-names", "Names outside ASCII, also long ones and in link targets.", app=_names_in_utf8),
    Case("byte-names", "Names that are not UTF-8.", app=_names_in_bytes),
    Case("odd-names", "Names with newlines, quotes, control characters and glob characters.", app=_odd_names),
    Case("order", "Names that sort differently as whole paths and by directory.", app=_order),
    Case("symlinks", "Links: absolute, dangling, in loops, to directories, with long targets.", app=_symlinks),
    Case("hard-links", "Three names of one file.", app=_hard_links),
    Case("modes", "All kinds of permissions with setuid, setgid and sticky bits.", app=_modes),
    Case("special-files", "Pipes and sockets.", app=_special),
    Case("devices", "Character and block devices, also with large numbers.", app=_devices, needs_root=True),
    Case("owners", "Files of root and of other users.", app=_owners, needs_root=True),
    Case("unreadable-file", "A file of mode 000, which not even its owner may read.", fails=True, app=_unreadable),
    Case("unreadable-directory", "A directory of mode 000.", fails=True, app=_unreadable_directory),
    Case("many-files", "400 files in 140 directories.", app=_many),
    Case(
        "large-file",
        "A sparse file of 8 GiB and one byte, whose size needs a PAX record.",
        app=lambda tree: tree.sparse("huge", (8 << 30) + 1),
        apis=("0.12",),
        slow=True,
    ),
    _slice_case("overlapping", "A path matched by three slices goes into the first.", ("public/*",), ("public/*.css", "src"), ("*",)),
    _slice_case("globs", "Wildcards, classes, escapes.", ("*.html", "src/[ab].py"), ("public/img/?.png",), ("a\\[b\\]c", "[^a]-b", "node_modules/*/index.js")),
    _slice_case("directories", "Directories, with trailing slashes and dots.", ("public",), ("src/", "./dir/sub"), ("dir/../node_modules/m",)),
    _slice_case("empty", "Slices that match nothing, list nothing, or come twice.", (), ("none",), ("index.html",), ("index.html",)),
    _slice_case("outside", "Absolute paths and paths that leave the app match nothing.", ("/workspace/src", "../x", "/", ".", ""), ("**",), ("**/*.py",), ("{src,public}",)),
    _slice_case("all", "Everything is taken, so that the last layer is empty.", ("*", ".*")),
    _slice_case("links", "Links are taken as links.", ("link-to-src",), ("public/link",), ("empty",), ("empty/inner",)),
    _slice_case("malformed", "A pattern with an open bracket.", ("[",), fails=True),
    _slice_case("malformed-later", "A pattern that is malformed behind a part that does not match.", ("zzz[",), ("a\\",), fails=True),
    Case(
        "slices-of-two-buildpacks",
        "Slices of two buildpacks, in their order.",
        app=_for_slices,
        buildpacks=(
            sliced(("src/*",), ("public/*.css",)),
            Buildpack("parity/two", out=listed({"launch.toml": "[[slices]]\npaths = ['src/c', 'public']\n"})),
        ),
    ),
    Case(
        "slices-reused",
        "The second build reuses the slices that did not change.",
        app=_for_slices,
        buildpacks=(sliced(("public",), ("src",)),),
        change=lambda tree: tree.file("src/new.py"),
    ),
)  # fmt: skip
