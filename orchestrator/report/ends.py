"""Says in plain words which DeepSpeed hosts have when a run that changes them ends."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.model.deployment import DeploymentResult, HostEnd
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.wording import count

_NAMES = {
    HostEnd.NEW: "changed",
    HostEnd.OLD: "as before",
    HostEnd.LEFT: "left uncommitted",
    HostEnd.UNKNOWN: "not known",
}


def end_rows(result: DeploymentResult, *, changed: str = _NAMES[HostEnd.NEW]) -> Iterator[tuple[str, str]]:
    """Yield a name and its hosts for every end that there is; `changed` names those that have the new one."""
    for end, name in {**_NAMES, HostEnd.NEW: changed}.items():
        hosts = result.hosts_at(end)
        if hosts:
            yield name, f"{fold_hosts(hosts)} ({count(len(hosts), 'host')})"


def end_words(result: DeploymentResult) -> str:
    """Say in one line what became of the hosts of a run that did not go as it was meant to."""
    return ("interrupted; " if result.interrupted else "") + _state_words(result)


def _state_words(result: DeploymentResult) -> str:
    if all(end is HostEnd.OLD for end in result.ends.values()):
        return "nothing changed: every host has what it had"
    found = {name: len(result.hosts_at(end)) for end, name in _NAMES.items()}
    counts = ", ".join(f"{number} {name}" for name, number in found.items() if number)
    unknown = result.hosts_at(HostEnd.UNKNOWN)
    hint = f"; dsdeploy recover brings {fold_hosts(unknown)} to rest" if unknown else ""
    return f"of {count(len(result.ends), 'host')} {counts}{hint}"
