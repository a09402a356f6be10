"""One fan-out to many simulated hosts, in a process of its own: prints what it took as one JSON document.

Arguments: how many hosts, the share of them that dies on the way, and a seed for which and when.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from fakes.relay_nature import Death, Nature
from simulated import Carried, carry, make_parcel

RATE = 25e6
SIZE_BYTES = 20_000_000


def make_natures(count: int, share: float, seed: int) -> dict[str, Nature]:
    """Return the hosts, of which a share dies, each in its way and at its moment."""
    chance = random.Random(seed)
    natures = {f"worker-{number}": Nature(rate=RATE) for number in range(count)}
    for host in chance.sample(sorted(natures), int(count * share)):
        natures[host] = Nature(rate=RATE, death=chance.choice(list(Death)), dies_at=chance.uniform(0, 0.9))
    return natures


def describe(carried: Carried) -> dict[str, object]:
    """Return what the test looks at."""
    failures = {host: outcome.failure for host, outcome in carried.outcomes.items() if outcome.failure}
    return {
        "whole": len(carried.whole),
        "failed": sorted(failures),
        "unnamed": [host for host, failure in failures.items() if host not in failure.message],
        "threads": carried.most_threads,
        "controller_bytes": carried.report.controller_bytes,
        "elapsed_s": carried.report.elapsed_s,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """Return the most memory that this process ever had; `ru_maxrss` would count its parent's too (proc(5), VmHWM)."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main(count: int, share: float, seed: int) -> None:
    natures = make_natures(count, share, seed)
    with tempfile.TemporaryDirectory() as folder:
        parcel = make_parcel(Path(folder), size_bytes=SIZE_BYTES)
        carried = carry(natures, {host: [parcel] for host in natures})
    json.dump({**describe(carried), "dead": sorted(host for host in natures if natures[host].death)}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
