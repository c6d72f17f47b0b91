"""A process that proposes records of its own for keys, and writes down what came out.

python proposer.py LOG ANSWERS NAME FIRST COUNT: LOG is a directory of names or a value of -cache-repo.
"""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path

from lifecycle.cache.distributed.file_log import FileLog
from lifecycle.cache.distributed.propose import propose
from lifecycle.oci.digest import digest_of


def open_log(text: str):
    if text.startswith("/") and "," not in text:
        return FileLog(Path(text))
    from lifecycle.cache.distributed.open import open_repository
    from lifecycle.cache.specification import read_repository
    from lifecycle.images.registry.client import Limits, RegistryClient
    from lifecycle.images.registry.credentials import default_keychain
    from lifecycle.images.registry.hosts import Hosts
    from lifecycle.images.registry.retry import RetryPolicy

    patient = Limits(retry=RetryPolicy(tries=200, tries_unreached=200, first_delay=0.05, longest_delay=0.5))
    client = RegistryClient(Hosts(), default_keychain({"HOME": "/nonexistent"}), limits=patient)
    return open_repository(read_repository(text.removeprefix("http://")), lambda: client).log


def short(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode().rstrip("=")


def main(place: str, answers: str, name: str, first: str, count: str) -> None:
    log = open_log(place)
    with Path(answers, f"{name}.jsonl").open("a") as file:

        def write(**facts) -> None:
            file.write(json.dumps(facts) + "\n")
            file.flush()
            os.fsync(file.fileno())

        for index in range(int(first), int(first) + int(count)):
            key = digest_of(f"key {index}".encode())
            value = "sha256:" + hashlib.sha256(f"{name} has made {index}".encode()).hexdigest()
            write(key=short(key), proposed=short(value))
            outcome = propose(log, key, value)
            write(
                key=short(key),
                proposed=short(value),
                generation=outcome.generation,
                outcome=short(outcome.value),
                failures=outcome.failures,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
