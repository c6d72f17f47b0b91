"""Steps with service bindings and secret variables in a cache that builders share: shared with a salt, told nowhere."""

import hashlib
import json
import os

import pytest

from parts.phases import USER, home

SECRETS = {"binding": "hunter2-of-the-database", "variable": "token-of-the-mirror"}
SALT = "c2FsdCBmb3Igc2VjcmV0cyBpbiBrZXlzIG9mIHN0ZXBz"
BUILD = r"""
cd "$CNB_LAYERS_DIR"
mkdir -p made; head -c 300 /dev/urandom > made/random
printf '[types]\nlaunch = true\n' > made.toml
"""


@pytest.fixture
def shared(builds):
    return f"{builds.repository}/shared"


@pytest.fixture
def secret(builds):
    place = builds.place
    place.buildpack(build=BUILD)
    place.write("platform/env/MIRROR_TOKEN", SECRETS["variable"])
    place.write("platform/bindings/db/type", "postgres")
    place.write("platform/bindings/db/password", SECRETS["binding"])
    place.write("salt", SALT)
    place.write("report.json", "")
    return builds


def create(builds, repository, name):
    report = builds.place.root / "report.json"
    done = builds.create(
        "-cache-repo", repository, "-cache-report", report, "-log-level", "debug", name=name, HOME=home()
    )
    assert done.code == 0, done.output
    (row,) = json.loads(report.read_text())["cache"]["settled"]
    layers = [path.read_bytes() for path in builds.place.layers.rglob("*") if path.is_file()]
    told = b"\n".join([done.output.encode(), report.read_bytes(), *layers])
    builds.start_again(cache=False)
    return row, told


def check_told_nowhere(data):
    plain = [*SECRETS.values(), SALT]
    for text in [*plain, *(hashlib.sha256(each.encode()).hexdigest() for each in plain)]:
        assert text.encode() not in data


def test_with_one_salt_builders_share_and_no_secret_is_told_in_the_registry_in_logs_or_files(secret, shared, registry):
    value = f"{shared},salt-file={secret.place.root / 'salt'},secret-env=MIRROR_TOKEN"
    (one, told), (other, also_told) = (create(secret, value, name) for name in ("one", "other"))
    assert (one["outcome"], other["outcome"]) == ("won", "adopted")
    for data in (told, also_told):
        check_told_nowhere(data)
    kept = 0
    for path in registry.storage.rglob("*"):
        if path.is_file():
            check_told_nowhere(path.read_bytes())
            check_told_nowhere(str(path).encode())
            kept += 1
    assert kept > 10


def test_the_five_phases_share_such_steps_too(secret, shared):
    value = f"{shared},salt-file={secret.place.root / 'salt'},secret-env=MIRROR_TOKEN"
    assert create(secret, value, "one")[0]["outcome"] == "won"
    done = secret.five(name="other", HOME=home(), CNB_CACHE_REPO=value)
    assert "SHARED a/b: another builder was first" in done[-1].output
    assert secret.image("one").reference.rpartition("@")[2] == secret.image("other").reference.rpartition("@")[2]
    check_told_nowhere((secret.place.layers / "cache-steps.json").read_bytes())


@pytest.mark.parametrize("change", ["binding", "variable", "salt", "names"])
def test_another_secret_salt_or_list_of_secrets_is_another_step(secret, shared, change):
    value = f"{shared},salt-file={secret.place.root / 'salt'},secret-env=MIRROR_TOKEN"
    assert create(secret, value, "one")[0]["outcome"] == "won"
    match change:
        case "binding":
            secret.place.write("platform/bindings/db/password", "another")
        case "variable":
            secret.place.write("platform/env/MIRROR_TOKEN", "another")
        case "salt":
            secret.place.write("salt", SALT[::-1])
        case "names":
            value = value.replace("MIRROR_TOKEN", "MIRROR_TOKEN:OTHER_TOKEN")
    again = create(secret, value, "other")[0]["outcome"]
    assert again == ("adopted" if change == "names" else "won")


def test_without_a_salt_they_stay_unpublished_and_say_so(secret, shared):
    row, told = create(secret, f"{shared},secret-env=MIRROR_TOKEN", "one")
    assert row["outcome"] == "unpublished"
    assert "no salt-file" in row["reason"]
    check_told_nowhere(told)


@pytest.mark.parametrize(
    ("salt", "problem"), [("", "has 0 bytes"), ("short", "has 5 bytes"), (None, "can't be read")], ids=str
)
def test_a_salt_that_can_not_be_used_fails_before_the_build(secret, shared, salt, problem):
    if salt is None:
        (secret.place.root / "salt").unlink()
    else:
        secret.place.write("salt", salt)
    done = secret.create("-cache-repo", f"{shared},salt-file={secret.place.root / 'salt'}")
    assert done.code
    assert problem in done.errors[0]
    assert "head -c 32 /dev/urandom" in done.errors[0]
    assert "ANALYZING" not in done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that the user of a build can't read")
def test_a_salt_may_be_roots_alone_and_buildpacks_can_not_read_it(secret, shared):
    salt = secret.place.root / "salt"
    secret.place.buildpack(build=f"if cat '{salt}'; then exit 1; fi\n{BUILD}")
    secret.place.give(USER, USER)
    os.chown(salt, 0, 0)
    salt.chmod(0o600)
    value = f"{shared},salt-file={salt},secret-env=MIRROR_TOKEN"
    ids = ("-uid", USER, "-gid", USER)
    place = secret.place
    more = ("-cache-dir", place.root / "cache", "-launcher", place.root / "launcher")
    done = place.run_as_it_is("creator", *ids, *more, "-cache-repo", value, secret.name("app"), as_root=True)
    assert done.code == 0, done.output
    assert "what it made is now everybody's" in done.output
