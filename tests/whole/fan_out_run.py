"""Carries one file to hosts and says what happens: a process of its own, so that it can be killed.

Its argument is a JSON document: `ssh_config`, `file`, `hosts`, `relay_ports` (or null). It prints one a line, with
times on the machine's monotonic clock, which is the same for all processes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.fanout.carrier import RelayCarrier
from orchestrator.model.events import Event, HostFinished, HostProgress, Note
from orchestrator.model.fanout import FanOutSettings, Shape
from orchestrator.model.hosts import Host
from orchestrator.ports import Parcel
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet


class LineReporter:
    """The port Reporter: tells the tests what they wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        match event:
            case HostProgress():
                self.say("progress", {"host": event.host, "done": event.done_bytes, "total": event.total_bytes})
            case HostFinished():
                self.say("finished", {"host": event.host, "is_ok": event.is_ok})
            case Note():
                self.say("note", {"text": event.text})
            case _:
                pass

    def say(self, kind: str, document: dict[str, Any]) -> None:
        with self._lock:
            sys.stdout.write(json.dumps({"kind": kind, "at_s": time.monotonic()} | document) + "\n")
            sys.stdout.flush()


def main(order: dict[str, Any]) -> None:
    content = Path(order["file"]).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    parcel = Parcel(
        source=Path(order["file"]),
        path=f"cache:wheels/{sha256}/{Path(order['file']).name}",
        sha256=sha256,
        size_bytes=len(content),
    )
    hosts = [Host(name=name) for name in order["hosts"]]
    reporter = LineReporter()
    ports = order["relay_ports"] and tuple(order["relay_ports"])
    carrier = RelayCarrier(FanOutSettings(shape=Shape.CHAIN, relay_ports=ports), clock=time.monotonic)
    with SshFleet(hosts, settings=DialSettings(ssh_config=Path(order["ssh_config"]))) as fleet:
        result = carrier.carry({host.name: [parcel] for host in hosts}, fleet, reporter)
    report = asdict(result.report) | {"topology": dict(result.report.topology.parents)}
    outcomes = {item.host: asdict(item) for item in result.outcomes.items}
    reporter.say("result", {"outcomes": outcomes, "report": report})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
