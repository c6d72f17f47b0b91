"""Proposers and a registry in a network namespace whose packets are dropped or refused in one direction, on and off.

unshare -n python partitioned.py DIRECTORY TARGET DIRECTION KEYS CUTS: prints JSON with the names of the registry.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.agreement import names_in_registry
from parts.crowd import Crowd
from parts.registry import RegistryServer


def main(directory: str, target: str, direction: str, keys: str, cuts: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    began = time.monotonic()
    with RegistryServer(Path(directory) / "registry") as registry:
        port = registry.host.rpartition(":")[2]
        rule = ["INPUT", "-i", "lo", "-p", "tcp", direction, port, "-j", target]
        with Crowd(f"{registry.url}/shared/steps", Path(directory) / "answers", size=4, keys=int(keys)) as crowd:
            crowd.disturb([], 0)
            for _ in range(int(cuts)):
                subprocess.run(["iptables", "-w", "-I", *rule], check=True)
                time.sleep(random.uniform(0.3, 1.2))
                subprocess.run(["iptables", "-w", "-D", *rule], check=True)
                time.sleep(random.uniform(0.1, 0.5))
            crowd.finish()
        names = names_in_registry(registry.url, "shared/steps")
    told = {"names": names, "cuts": int(cuts), "seconds": round(time.monotonic() - began, 1)}
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
