"""Records that are signed, and what becomes of those that nobody trusted has signed."""

import base64
import json
import re
import subprocess

import pytest

from lifecycle.cache.distributed.collect import Collector
from lifecycle.cache.distributed.open import open_repository
from lifecycle.cache.distributed.propose import propose
from lifecycle.cache.distributed.publication import Publication
from lifecycle.cache.distributed.publish import fetch_publication, publish
from lifecycle.cache.distributed.retention import KeepPolicy, Limit, Policy, ReferenceKind
from lifecycle.cache.distributed.signing import read_signing_key
from lifecycle.cache.distributed.tags import Signed
from lifecycle.cache.specification import read_repository, read_source
from lifecycle.errors import InvalidInputError, RegistryError, UnsignedRecordError
from lifecycle.images.registry.client import Limits, RegistryClient
from lifecycle.images.registry.credentials import default_keychain
from lifecycle.images.registry.hosts import Hosts
from lifecycle.images.registry.retry import RetryPolicy
from lifecycle.oci.digest import digest_of
from parts.builders import Builders
from parts.fault_proxy import Status
from parts.shared_cache import SharedCache
from parts.signing_keys import SigningKeys

RECORD = Publication("application/x-test", b"{}", ())


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = SigningKeys(tmp_path_factory.mktemp("keys"))
    for name in ("one", "other"):
        made.make(name)
    return made


@pytest.fixture(params=["directory", "registry", "file"])
def place(request, tmp_path):
    if request.param == "directory":
        return str(tmp_path / "shared")
    registry = request.getfixturevalue("registry")
    found = f"{registry.host}/signed/{request.node.name.replace('[', '-').rstrip(']').lower()[-60:].strip('_-')}"
    return f"{found},sync=file,path={tmp_path / 'names'}" if request.param == "file" else found


@pytest.fixture
def opened(registry_client):
    return lambda text: open_repository(read_repository(text), lambda: registry_client)


@pytest.fixture
def impatient():
    quick = Limits(retry=RetryPolicy(tries=2, first_delay=0.01))
    client = RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}), limits=quick)
    return lambda text: open_repository(read_repository(text), lambda: client)


def test_a_record_is_believed_by_those_who_trust_its_signer_and_by_those_who_do_not_ask(place, keys, opened):
    publish(opened(place + keys.options("one")), RECORD, {})
    for reader in ("", keys.options("one"), keys.options("other", "one")):
        assert fetch_publication(opened(place + reader), RECORD.digest) == RECORD
    with pytest.raises(UnsignedRecordError, match="no signature by a key that is trusted"):
        fetch_publication(opened(place + keys.options("other")), RECORD.digest)


def test_an_unsigned_record_is_refused_with_that_reason(place, keys, opened):
    publish(opened(place), RECORD, {})
    with pytest.raises(UnsignedRecordError, match="no signature"):
        fetch_publication(opened(place + keys.options("one")), RECORD.digest)


def test_a_collector_without_keys_deletes_signatures_with_their_records_and_leaves_those_of_kept_ones(
    place, keys, opened, repository_of
):
    shared = SharedCache(opened(place + keys.options("one")))
    tags = {}
    for name in ("old", "kept"):
        tags[name] = Signed(shared.record(name), read_signing_key(keys.directory / "one.key").public.name).name
    shared.image("app", "kept", branch="main")
    repository = repository_of(place)
    assert set(tags.values()) <= repository.names()
    policy = Policy(policies=(KeepPolicy(ReferenceKind.BRANCH, "main", Limit(), Limit(last=1)),), starts=0)
    Collector(repository, policy, grace=0).run()
    assert shared.there() == {"kept"}
    assert repository.names() & {*tags.values()} == {tags["kept"]}
    assert repository.tagged(tags["old"]) is None


def test_the_signature_of_another_record_is_wrong(tmp_path, keys, opened):
    place = str(tmp_path / "shared")
    other = Publication("application/x-test", b'{"other": 1}', ())
    for record in (RECORD, other):
        publish(opened(place + keys.options("one")), record, {})
    tags = {path.name.split(".")[1]: path for path in (tmp_path / "shared" / "tags").iterdir() if path.name[0] == "s"}
    short = base64.urlsafe_b64encode(bytes.fromhex(RECORD.digest.removeprefix("sha256:"))).decode().rstrip("=")
    own, foreign = tags.pop(short), next(iter(tags.values()))
    for data in (foreign.read_bytes(), b"{}", own.read_bytes().replace(b'signature":"', b'signature":"!')):
        own.write_bytes(data)
        with pytest.raises(UnsignedRecordError, match="signature that is wrong"):
            fetch_publication(opened(place + keys.options("one")), RECORD.digest)
    assert fetch_publication(opened(place + keys.options("one")), other.digest) == other


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_signature_that_a_registry_does_not_give_now_says_nothing_against_a_record(
    keys, opened, impatient, registry, fault_proxy, status
):
    name = f"signed/busy-{status}"
    publish(opened(f"{registry.host}/{name}" + keys.options("one")), RECORD, {})
    proxy = fault_proxy(registry.host)
    reader = impatient(f"{proxy.host}/{name}" + keys.options("other", "one"))
    signer = read_signing_key(keys.directory / "one.key").public.name
    proxy.fault(Status(status), path=re.escape(Signed(RECORD.digest, signer).name), times=None)
    with pytest.raises(RegistryError) as told:
        fetch_publication(reader, RECORD.digest)
    assert told.value.status == status


def test_a_signature_that_can_not_be_had_does_not_hide_another(keys, opened, impatient, registry, fault_proxy):
    for name in ("one", "other"):
        publish(opened(f"{registry.host}/signed/both" + keys.options(name)), RECORD, {})
    proxy = fault_proxy(registry.host)
    for name in ("one", "other"):
        proxy.clear()
        signer = read_signing_key(keys.directory / f"{name}.key").public.name
        proxy.fault(Status(500), path=re.escape(Signed(RECORD.digest, signer).name), times=None)
        reader = impatient(f"{proxy.host}/signed/both" + keys.options("one", "other"))
        assert fetch_publication(reader, RECORD.digest) == RECORD


def test_openssl_finds_the_signature_right(tmp_path, keys, opened):
    place = str(tmp_path / "shared")
    publish(opened(place + keys.options("one")), RECORD, {})
    (tag,) = (path for path in (tmp_path / "shared" / "tags").iterdir() if path.name.startswith("s."))
    annotations = json.loads(tag.read_bytes())["annotations"]
    (signature,) = (value for name, value in annotations.items() if name.endswith(".signature"))
    (tmp_path / "signature").write_bytes(base64.b64decode(signature))
    (tmp_path / "message").write_text(f"cnb-cache-record/v1\n{RECORD.digest}")
    public = keys.directory / "one.pub"
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", tmp_path / "message"]
    done = subprocess.run([*verify, "-sigfile", tmp_path / "signature"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_old_and_a_new_key_in_one_file_are_trusted_both(tmp_path, keys, opened):
    place, both = str(tmp_path / "shared"), tmp_path / "both.pub"
    both.write_text("".join((keys.directory / f"{name}.pub").read_text() for name in ("one", "other")))
    publish(opened(place + keys.options("other")), RECORD, {})
    trusting = f"{place},sign-key={keys.directory / 'one.key'},verify-key={both}"
    assert fetch_publication(opened(trusting), RECORD.digest) == RECORD


def test_a_reader_of_such_a_cache_needs_no_private_key(tmp_path, keys, opened, registry_client):
    publish(opened(str(tmp_path / "shared") + keys.options("one")), RECORD, {})
    for name, is_trusted in (("one", True), ("other", False)):
        text = f"type=distributed,ref={tmp_path / 'shared'},verify-key={keys.directory / f'{name}.pub'}"
        reader = open_repository(read_source(text), lambda: registry_client)
        if is_trusted:
            assert fetch_publication(reader, RECORD.digest) == RECORD
        else:
            with pytest.raises(UnsignedRecordError):
                fetch_publication(reader, RECORD.digest)


@pytest.mark.parametrize("kind", ["sign-key", "verify-key"])
@pytest.mark.parametrize("damage", ["missing", "garbage", "rsa", "swapped"])
def test_a_key_that_is_none_is_told_and_nothing_of_it(tmp_path, keys, opened, kind, damage):
    path = tmp_path / "key"
    index = 0 if kind == "sign-key" else 1
    if damage == "garbage":
        path.write_text("c2VjcmV0IGtleQ==")
    elif damage == "rsa":
        path = SigningKeys(tmp_path).make("rsa", "rsa")[index]
    elif damage == "swapped":
        path = keys.directory / ("one.pub" if index == 0 else "one.key")
    more = "" if kind == "sign-key" else f",sign-key={keys.directory / 'one.key'}"
    with pytest.raises(InvalidInputError) as told:
        opened(f"{tmp_path / 'shared'},{kind}={path}{more}")
    assert str(path) in str(told.value)
    assert "c2VjcmV0" not in str(told.value)


def test_who_would_publish_what_it_does_not_believe_itself_is_told():
    with pytest.raises(InvalidInputError, match="signed by nobody") as told:
        read_repository("reg/app,verify-key=/key")
    assert "sign-key=FILE" in told.value.remedy


def test_builders_that_sign_share_and_close_what_others_left_unsigned(tmp_path, keys):
    place = str(tmp_path / "shared")
    builders = Builders(tmp_path / "builders", place)
    unsigned = builders.build("unsigned")
    if not unsigned.paths_are_of_image:
        pytest.skip("this host lets builders see no common paths, so their steps have different keys")
    built = []
    for name, more in (("one", ("other",)), ("other", ("one",))):
        builders.repository = place + keys.options(name, *more)
        built.append(builders.build(name, "--verbose"))
    one, other = built
    assert {row["outcome"] for row in one.settled.values()} == {"won"}
    assert one.settled["test/runtime"]["generation"] == 1
    assert "no signature by a key that is trusted here" in one.log
    assert {row["outcome"] for row in other.settled.values()} == {"adopted"}
    assert one.digest == other.digest != unsigned.digest
    for each in built:
        assert "PRIVATE" not in each.log


def test_a_signed_outcome_is_proposed_only_with_its_signature(tmp_path, keys, opened):
    repository = opened(str(tmp_path / "shared") + keys.options("one"))
    publish(repository, RECORD, {})
    assert propose(repository.log, digest_of(b"key"), RECORD.digest).value == RECORD.digest
    names = repository.log.names()
    assert [name for name in names if name.startswith("s.")]
    assert [name for name in names if name.startswith("r.")]
