"""Ask every host what it is, in one round trip each."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.model.events import Stage
from orchestrator.model.facts import Facts
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcomes
from orchestrator.ports import Fleet, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.on_hosts import on_hosts

DEFAULT_PYTHON = "python3"
_TIMEOUT_S = 60.0


def probe(hosts: Sequence[Host], *, python: str | None, fleet: Fleet, reporter: Reporter) -> Outcomes[Facts]:
    """Return each host's facts about itself and its target interpreter.

    The interpreter is the host's own (`python=` in the hostfile), else `python`, else `python3`.
    """
    pythons = {host.name: target_python(host, python) for host in hosts}
    return on_hosts(
        Stage.PROBE,
        list(pythons),
        lambda remote: read_facts(remote, pythons[remote.host]),
        fleet=fleet,
        reporter=reporter,
    )


def target_python(host: Host, python: str | None) -> str:
    """Return the interpreter that a deployment goes into on this host."""
    return host.python or python or DEFAULT_PYTHON


def read_facts(remote: Remote, python: str) -> Facts:
    """Return the facts of one machine. Raises HostError when it does not answer, or not with facts."""
    document = remote.request("facts", {"python": python}, timeout_s=_TIMEOUT_S)
    return read_answer(Facts, document, remote)
