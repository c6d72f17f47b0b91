"""The file in which users name mirrors, moved, blocked and insecure registries."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidFileError, InvalidInputError
from lifecycle.images.registry.registries_conf import (
    Location,
    PullFrom,
    RegistryRule,
    read_registries_conf,
    registries_conf_files,
    rule_for,
)
from lifecycle.oci.reference import parse_reference

DIGEST = "sha256:" + "0" * 64


def rule(prefix, location=""):
    return RegistryRule(prefix=prefix, location=Location(location), mirrors=(), blocked=False, where="file")


@pytest.fixture
def read(tmp_path):
    def call(text):
        path = tmp_path / "registries.conf"
        path.write_text(text)
        return read_registries_conf([path])

    return call


@pytest.mark.parametrize(
    ("prefix", "matching", "others"),
    [
        ("a.com", ["a.com/x", "a.com/x/y:1"], ["a.com:5000/x", "b.a.com/x", "a.com.b/x", "aa.com/x"]),
        ("a.com:5000", ["a.com:5000/x"], ["a.com/x", "a.com:50000/x"]),
        ("a.com/x1", ["a.com/x1", "a.com/x1:tag", "a.com/x1/y"], ["a.com/x12", "a.com/y/x1"]),
        ("a.com/x1:1.0", ["a.com/x1:1.0"], ["a.com/x1:1", "a.com/x1", "a.com/x1/y:1.0"]),
        (f"a.com/x1@{DIGEST}", [f"a.com/x1@{DIGEST}", f"a.com/x1:tag@{DIGEST}"], ["a.com/x1", "a.com/x1:tag"]),
        ("*.a.com", ["b.a.com/x", "c.b.a.com/x/y"], ["a.com/x", "ba.com/x", "b.a.com:5000/x", "b.a.com.c/x"]),
        ("*.a.com:5000", ["b.a.com:5000/x"], ["b.a.com/x"]),
        ("index.docker.io/library", ["alpine", "docker.io/library/alpine"], ["docker.io/me/alpine"]),
    ],
)
def test_a_prefix_ends_where_a_part_of_the_name_ends(prefix, matching, others):
    matched = [text.replace("/x", "/xx").replace("/xx1", "/x1") for text in [*matching, *others]]
    assert [rule(prefix).length_in(parse_reference(text)) is not None for text in matched] == (
        [True] * len(matching) + [False] * len(others)
    )


@pytest.mark.parametrize(
    ("prefix", "location", "reference", "expected"),
    [
        ("a.com", "b.com", "a.com/xx/y", ("b.com", "xx/y")),
        ("a.com", "b.com:5000/cache", "a.com/xx/y", ("b.com:5000", "cache/xx/y")),
        ("a.com/xx", "b.com/zz", "a.com/xx/y", ("b.com", "zz/y")),
        ("a.com/xx", "b.com", "a.com/xx/yy", ("b.com", "yy")),
        ("a.com/xx", "b.com/zz", "a.com/xx:tag", ("b.com", "zz")),
        ("a.com/xx:tag", "b.com/zz", "a.com/xx:tag", ("b.com", "zz")),
        ("*.a.com", "b.com/all", "c.a.com/xx", ("b.com", "all/xx")),
        ("*.a.com", "", "c.a.com/xx", ("c.a.com", "xx")),
        ("a.com", "", "a.com/xx", ("a.com", "xx")),
        ("index.docker.io", "b.com/hub", "alpine", ("b.com", "hub/library/alpine")),
        ("a.com", "index.docker.io", "a.com/alpine", ("index.docker.io", "library/alpine")),
    ],
)
def test_the_location_takes_the_place_of_the_prefix(prefix, location, reference, expected):
    found = rule(prefix, location)
    assert found.rewritten(parse_reference(reference), found.location) == expected


def test_a_location_that_leaves_no_repository_is_refused():
    found = rule("a.com/xx", "b.com")
    with pytest.raises(InvalidFileError, match=r'location "b\.com" leaves no repository for a\.com/xx:latest'):
        found.rewritten(parse_reference("a.com/xx"), found.location)


hosts = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,3}){1,3}(:[0-9]{1,4})?", fullmatch=True)
parts = st.lists(st.from_regex(r"[a-z0-9]{2,5}", fullmatch=True), min_size=1, max_size=4)


@given(hosts, parts, st.data(), hosts, st.lists(st.from_regex(r"[a-z]{2,3}", fullmatch=True), max_size=2))
def test_rewriting_moves_what_follows_the_prefix_and_nothing_else(host, path, data, to_host, to_path):
    reference = parse_reference(f"{host}/{'/'.join(path)}:1")
    length = data.draw(st.integers(0, len(path) - 1))
    found = rule("/".join([host, *path[:length]]), "/".join([to_host, *to_path]))
    assert found.rewritten(reference, found.location) == (to_host, "/".join([*to_path, *path[length:]]))


@given(hosts, parts, st.lists(st.tuples(hosts, parts), max_size=4))
def test_the_longest_prefix_of_whole_parts_wins(host, path, others):
    reference = parse_reference(f"{host}/{'/'.join(path)}:1")
    names = [f"{host}/{'/'.join(path)}", *(f"{other}/{'/'.join(rest)}" for other, rest in others)]
    prefixes = {"/".join(name.split("/")[:count]) for name in names for count in range(1, name.count("/") + 2)}
    found = rule_for([rule(prefix) for prefix in sorted(prefixes)], reference)
    assert found is not None
    assert found.prefix == names[0]
    assert rule_for([rule(prefix) for prefix in sorted(prefixes - {names[0]})], reference) != found


@given(st.text(st.characters(codec="ascii"), min_size=1), hosts, parts)
def test_no_prefix_matches_across_a_part_of_a_name(prefix, host, path):
    reference = parse_reference(f"{host}/{'/'.join(path)}:1")
    covered = rule(prefix).length_in(reference)
    assert covered is None or f"{reference.context}/"[covered] == "/"


def test_an_exact_host_wins_over_a_wildcard():
    for rules in ([rule("*.b.com"), rule("a.b.com")], [rule("a.b.com"), rule("*.b.com")]):
        assert rule_for(rules, parse_reference("a.b.com/xx")).prefix == "a.b.com"
    assert rule_for([rule("*.com"), rule("*.b.com")], parse_reference("a.b.com/xx")).prefix == "*.b.com"


def test_the_whole_format(read):
    first, second, third = read("""
        unqualified-search-registries = ["docker.io"]
        short-name-mode = 5
        [[registry]]
        prefix = "docker.io/library"
        location = "a.com/hub/"
        insecure = true
        unknown = 1
        [[registry.mirror]]
        location = "b.com:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "registry-1.docker.io"
        pull-from-mirror = "tag-only"
        [[registry]]
        location = "c.com"
        blocked = true
        [[registry]]
        prefix = "*.d.com"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "e.com"
        [aliases]
        x = "y"
    """)
    assert first.prefix == "index.docker.io/library"
    assert first.location == Location("a.com/hub", insecure=True)
    assert first.mirrors == (
        Location("b.com:5000/hub", insecure=True),
        Location("index.docker.io", pull_from=PullFrom.TAG_ONLY),
    )
    assert (second.prefix, second.blocked) == ("c.com", True)
    assert third.location == Location("")
    assert third.mirrors == (Location("e.com", pull_from=PullFrom.DIGEST_ONLY),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[registry]", "is not valid TOML"),
        ("registry = 5", "registry is not an array of tables"),
        ("registry = [5]", "registry is not an array of tables"),
        ("[registry]", "registry is not an array of tables"),
        ("[[registry]]", "registry[0] has neither prefix nor location"),
        ("[[registry]]\nlocation = 5", "registry[0].location is not a string"),
        ('[[registry]]\nlocation = "a.com"\ninsecure = "yes"', "registry[0].insecure is not true or false"),
        ('[[registry]]\nlocation = "a.com"\nblocked = 1', "registry[0].blocked is not true or false"),
        ('[[registry]]\nlocation = "https://a.com"', "registry[0].location is 'https://a.com'"),
        ('[[registry]]\nlocation = "*.a.com"', "registry[0].location is '*.a.com'"),
        ('[[registry]]\nprefix = "*.a.com/x"', "registry[0].prefix is '*.a.com/x'"),
        ('[[registry]]\nprefix = "a.*.com"', "registry[0].prefix is 'a.*.com'"),
        ('[[registry]]\nlocation = "a.com"\nmirror = 5', "registry[0].mirror is not an array of tables"),
        ('[[registry]]\nlocation = "a.com"\n[[registry.mirror]]', "registry[0].mirror[0] has no location"),
        (
            '[[registry]]\nlocation = "a.com"\n[[registry.mirror]]\nlocation = "b.com"\npull-from-mirror = "never"',
            "registry[0].mirror[0].pull-from-mirror is 'never'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(read, tmp_path, text, problem):
    with pytest.raises(InvalidFileError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{tmp_path / 'registries.conf'}: {problem}")


def test_a_file_that_is_no_text_is_an_invalid_file(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff")
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(InvalidFileError):
            read_registries_conf([path])


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["registry", "mirror", "location", "prefix", "insecure"]), inner)))  # fmt: skip
def test_any_shape_is_read_or_refused(tmp_path_factory, value):
    import toml

    path = tmp_path_factory.mktemp("conf") / "registries.conf"
    try:
        path.write_text(toml.dumps({"registry": value}))
    except (ValueError, IndexError, TypeError):
        return
    with contextlib.suppress(InvalidFileError):
        assert all(rule.prefix for rule in read_registries_conf([path]))


def test_the_named_file_is_the_only_one(tmp_path):
    config = tmp_path / ".config" / "containers"
    (config / "registries.conf.d").mkdir(parents=True)
    (config / "registries.conf").touch()
    (config / "registries.conf.d" / "b.conf").touch()
    ours, theirs = tmp_path / "ours.conf", tmp_path / "theirs.conf"
    ours.touch()
    theirs.touch()
    environment = {"HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": str(theirs)}
    assert registries_conf_files(environment) == (theirs,)
    assert registries_conf_files({**environment, "CNB_REGISTRIES_CONF": str(ours)}) == (ours,)


@pytest.mark.parametrize("variable", ["CNB_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF"])
def test_a_named_file_that_is_not_there_is_refused(variable, tmp_path):
    with pytest.raises(InvalidInputError, match=f"^{variable}: .* is not a file"):
        registries_conf_files({variable: str(tmp_path / "none")})


def test_the_users_files_are_found_and_later_ones_replace_whole_tables(tmp_path):
    config = tmp_path / "xdg" / "containers"
    (config / "registries.conf.d").mkdir(parents=True)
    main, first, second = (
        config / "registries.conf",
        config / "registries.conf.d" / "a.conf",
        config / "registries.conf.d" / "b.conf",
    )
    main.write_text('[[registry]]\nlocation = "a.com"\n[[registry.mirror]]\nlocation = "m.com"\n')
    second.write_text('[[registry]]\nlocation = "a.com"\nblocked = true\n')
    first.write_text('[[registry]]\nlocation = "a.com"\ninsecure = true\n[[registry]]\nlocation = "b.com"\n')
    (config / "registries.conf.d" / "c.toml").write_text("[[")
    files = [
        path
        for path in registries_conf_files({"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path / "xdg")})
        if path.is_relative_to(tmp_path)
    ]
    assert files == [main, first, second]
    found = {rule.prefix: rule for rule in read_registries_conf(files)}
    assert set(found) == {"a.com", "b.com"}
    assert found["a.com"].blocked
    assert found["a.com"].mirrors == ()
    assert not found["a.com"].location.insecure
