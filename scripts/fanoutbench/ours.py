"""Brings the file to all hosts as `dsdeploy push` does.

python -m fanoutbench.ours SETTINGS.json          carries, and says when every host had verified the file
python -m fanoutbench.ours SETTINGS.json greet    only connects: afterwards our agent is in the hosts' caches
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from fanoutbench.ground import REPORT
from orchestrator.fanout.carrier import RelayCarrier
from orchestrator.model.codec import to_document
from orchestrator.model.events import Event
from orchestrator.model.fanout import FanOutSettings
from orchestrator.model.hosts import Host
from orchestrator.ports import Parcel
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet


class Silence:
    """A reporter that draws nothing."""

    def emit(self, event: Event) -> None:
        """Take one event."""


def main() -> int:
    """Do what was asked, and return 1 when a host has failed."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parcel = Parcel(
        source=Path(settings["source"]),
        path=settings["our_target"],
        sha256=settings["sha256"],
        size_bytes=settings["size_bytes"],
    )
    hosts = [Host(name=name) for name in settings["hosts"]]
    carrier = RelayCarrier(FanOutSettings(), clock=time.monotonic)
    with SshFleet(hosts, settings=DialSettings(ssh_config=Path(settings["ssh_config"]))) as fleet:
        if sys.argv[2:] == ["greet"]:
            return 1 if fleet.each(settings["hosts"], lambda remote: remote.request("ping", {})).failed else 0
        began_s = time.monotonic()
        result = carrier.carry({host.name: [parcel] for host in hosts}, fleet, Silence())
        verified_at_s = began_s + result.report.elapsed_s
    for outcome in result.outcomes.failed:
        print(f"{outcome.host}: {outcome.failure}")
    print(REPORT + json.dumps({"verified_at_s": verified_at_s, "report": to_document(result.report)}))
    return 1 if result.outcomes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
