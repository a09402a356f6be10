"""Says of a cell what is not as it must be; nothing when all is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from signal import SIGKILL

from faultsbench.cells import Cell, Fault, Rest, Side
from faultsbench.controller import Answer
from faultsbench.disks import Disk, Wheel, differences, fold

_UNKNOWN_CODE, _INTERRUPTED_CODE = 9, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a cell has brought to light; every mapping is by host."""

    old: Wheel
    new: Wheel
    victim: str
    before: Mapping[str, Disk]
    answer: Answer
    """Of the run that the fault came into."""
    ended: Mapping[str, Disk]
    """When that run had ended and the fault had not: hosts where nothing went on any more."""
    rest: Answer
    """Of the command that brought the hosts to rest, after the fault."""
    after: Mapping[str, Disk]

    @property
    def ends(self) -> Mapping[str, str]:
        """What the run said of each host; one that says that nothing was changed says nothing of hosts."""
        document = self.answer.document or {}
        ends: Mapping[str, str] = document.get("ends") or dict.fromkeys(self.before, Side.OLD.value)
        return ends

    def side_of(self, disk: Disk) -> Side | None:
        """Return which of the two a disk has."""
        return {self.old.version: Side.OLD, self.new.version: Side.NEW}.get(disk.version or "")


def judge(cell: Cell, evidence: Evidence) -> tuple[str, ...]:
    """Return every finding."""
    return (*_judge_run(cell, evidence), *_judge_rest(cell, evidence))


def _judge_run(cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield where the run's exit code and words do not agree with the disks."""
    code, stderr = evidence.answer.exit_code, evidence.answer.stderr
    if "Traceback" in stderr:
        yield f"the run shows a traceback: {stderr.splitlines()[-1]}"
    if cell.fault is Fault.CONTROLLER:
        if code != -SIGKILL:
            yield f"the run was killed, but ended with {code}"
        return
    if evidence.answer.document is None:
        yield f"the run printed no document, and ended with {code}"
        return
    yield from _judge_code(cell, evidence)
    for host, disk in evidence.ended.items():
        yield from (f"at the run's end {host} {fault}" for fault in _judge_end(cell, evidence, host, disk))


def _judge_code(cell: Cell, evidence: Evidence) -> Iterator[str]:
    code, ends = evidence.answer.exit_code, set(evidence.ends.values())
    if "unknown" in ends:
        expected = code == _UNKNOWN_CODE
    elif cell.fault is Fault.CTRL_C:
        expected = code == _INTERRUPTED_CODE
    else:
        expected = code not in (1, _UNKNOWN_CODE, _INTERRUPTED_CODE) and (code == 0) == (ends == {Side.NEW.value})
    if not expected:
        yield f"exit code {code}, but the hosts are said to be {', '.join(sorted(ends))}"


def _judge_end(cell: Cell, evidence: Evidence, host: str, disk: Disk) -> Iterator[str]:
    """Yield what is wrong on one host that could be reached when the run ended."""
    said, side = evidence.ends.get(host), evidence.side_of(disk)
    if said == "unknown" and host == evidence.victim and cell.fault is Fault.DISK:
        return  # nothing can be written there, and that was said
    if side is None or said != side.value or disk.ledger.state is not None:
        on_disk = side.value if side else " and ".join(disk.faults)
        yield f"was told as {said}; it is {on_disk}, {_ledger_text(disk)}"
        return
    if side not in cell.sides:
        yield f"is {side.value}, which it must not be"
    if side is Side.OLD:
        yield from fold(differences(evidence.before[host].files, disk.files))


def _ledger_text(disk: Disk) -> str:
    return f"{disk.ledger.state} in its ledger" if disk.ledger.state else "nothing pending in its ledger"


def _judge_rest(cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield what is wrong when all is over."""
    if evidence.rest.exit_code != 0:
        yield f"{cell.rest.value} ended with {evidence.rest.exit_code}: {_last_words(evidence.rest)}"
    sides = {Side.NEW} if cell.rest is Rest.NEXT_PUSH else cell.sides
    found = {host: evidence.side_of(disk) for host, disk in evidence.after.items()}
    if len(set(found.values())) != 1:
        yield f"mixed: {', '.join(f'{host} {side.value if side else None}' for host, side in found.items())}"
    for host, disk in evidence.after.items():
        yield from (f"at rest {host} {fault}" for fault in _judge_host(evidence, host, disk))
        side = found[host]
        if side is not None and side not in sides:
            yield f"at rest {host} is {side.value}, which it must not be"
        if side is Side.OLD:
            deviations = fold(differences(evidence.before[host].files, disk.files))
            yield from (f"at rest {host} is not as it was: {deviation}" for deviation in deviations)


def _judge_host(evidence: Evidence, host: str, disk: Disk) -> Iterator[str]:
    yield from (*disk.faults, *disk.leftovers)
    if disk.ledger.state is not None:
        yield f"has {_ledger_text(disk)}"
    wheels = {wheel.version: wheel.sha256 for wheel in (evidence.old, evidence.new)}
    if disk.version is not None and disk.ledger.stamp_wheel != wheels[disk.version]:
        yield "has a stamp of another wheel"
    yield from fold(differences(evidence.before[host].others, disk.others))


def _last_words(answer: Answer) -> str:
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    return " | ".join(lines[-2:])
