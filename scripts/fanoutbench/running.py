"""Runs a contest: peers by turns on one cluster, and stars at the same time on clusters of the same make."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fanoutbench.clusters import cluster_up, count_whole, run_inside
from fanoutbench.contests import Contest
from fanoutbench.ground import REPORT, Ground, Payload
from fanoutbench.measuring import Cost
from fanoutbench.peers import Kind, Peer
from fanoutbench.results import Run
from orchestrator.model.codec import from_document
from orchestrator.model.fanout import FanOutReport

_BLOCK_BYTES = 1 << 20
_LIMIT_S = 900
"""No run may take longer: a star of 64 hosts takes less than half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How contests are run."""

    folder: Path
    """For files, logs and what peers read."""
    tools: Path
    """The virtual environment of the peers that pip installed."""
    rounds: int
    """How often each quick peer is run, by turns; others once."""
    side_by_side: bool
    """Whether stars run at the same time: the link that each waits for is its own controller's."""
    say: Callable[[str], None]


def run_contest(contest: Contest, peers: Sequence[Peer], conditions: Conditions) -> Iterator[Run]:
    """Run all peers and yield each run when it is done. Raises BenchError when there can be no cluster."""
    payload = make_payload(conditions.folder / f"{contest.size_bytes}.bin", contest.size_bytes)
    stars = [peer for peer in peers if peer.kind is Kind.STAR]
    quick = [peer for peer in peers if peer.is_quick]
    others = [peer for peer in peers if peer not in stars and not peer.is_quick]
    with _ground(contest, "home", payload, conditions) as home:
        for peer in quick * conditions.rounds + others:
            yield measure(contest, peer, home, conditions.say)
        if not conditions.side_by_side or contest.rate is None:
            for peer in stars:
                yield measure(contest, peer, home, conditions.say)
            return

        def run_star(peer: Peer) -> Run:
            if peer is stars[0]:
                return measure(contest, peer, home, conditions.say)
            with _ground(contest, peer.name, payload, conditions) as ground:
                return measure(contest, peer, ground, conditions.say)

        with ThreadPoolExecutor(max(1, len(stars))) as pool:
            yield from pool.map(run_star, stars)


@contextmanager
def _ground(contest: Contest, name: str, payload: Payload, conditions: Conditions) -> Iterator[Ground]:
    with cluster_up(contest, f"bench-fanout-{contest.name.lower()}-{name}") as cluster:
        folder = conditions.folder / contest.name / name
        ground = Ground(cluster=cluster, payload=payload, folder=folder, tools=conditions.tools)
        ground.write()
        yield ground


def make_payload(path: Path, size_bytes: int) -> Payload:
    """Return a file of random bytes, which no compression makes smaller."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, _BLOCK_BYTES):
            block = os.urandom(min(_BLOCK_BYTES, size_bytes - start))
            digest.update(block)
            file.write(block)
    return Payload(path=path, sha256=digest.hexdigest(), size_bytes=size_bytes)


def measure(contest: Contest, peer: Peer, ground: Ground, say: Callable[[str], None]) -> Run:
    """Run a peer once, then look at the hosts; what it left there is removed."""
    if peer.prepare is not None:
        run_inside(ground.cluster, peer.prepare(ground), os.environ)
    _touch_memory(len(ground.hosts) * ground.payload.size_bytes)
    log, cost_file = ground.folder / f"{peer.name}.log", ground.folder / f"{peer.name}.cost.json"
    argv = ["fanoutbench.measuring", str(cost_file), str(log), str(_LIMIT_S), *peer.command(ground)]
    run_inside(ground.cluster, argv, os.environ | dict(peer.environment(ground)))
    cost = Cost(**json.loads(cost_file.read_text(encoding="utf-8")))
    hosts = ground.cluster.hosts[:1] if peer.kind is Kind.ONE else ground.cluster.hosts
    verified_at_s, report = read_report(log)
    run = Run(
        contest=contest.name,
        peer=peer.name,
        date=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        cost=cost,
        hosts=len(hosts),
        whole=count_whole(ground, hosts, peer.target),
        verified_s=None if verified_at_s is None else verified_at_s - cost.started_at_s,
        report=report,
    )
    say(f"{contest.name} {peer.name}: {run.wall_s:.2f} s, {run.whole} of {run.hosts} hosts whole")
    if not run.is_good:
        say(f"  ended with {cost.returncode}: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
    return run


def _touch_memory(size_bytes: int) -> None:
    """Use as much memory as the hosts' disks will: on a virtual machine a page's first use costs more than a copy."""
    bytearray(b".") * size_bytes


def read_report(log: Path) -> tuple[float | None, FanOutReport | None]:
    """Return when every host had verified the file, and what ours says that it took; nothing for other peers."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(REPORT):
            document = json.loads(line.removeprefix(REPORT))
            return document["verified_at_s"], from_document(FanOutReport, document["report"])
    return None, None
