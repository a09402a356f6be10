"""The matrix: which fault comes in which step, and which distribution all hosts must have when all is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from faultsbench.errors import BenchError


class Step(Enum):
    """The steps of a deployment, and the way back."""

    STAGE = "stage"
    ACTIVATE = "activate"
    VERIFY = "verify"
    COMMIT = "commit"
    ROLLBACK = "rollback"


class Fault(Enum):
    """What happens to one host, or to the controller."""

    AGENT = "agent"
    SSHD = "sshd"
    LINK = "link"
    DISK = "disk"
    PIP = "pip"
    OP = "op"
    CONTROLLER = "controller"
    CTRL_C = "ctrl-c"

    @property
    def text(self) -> str:
        """For people."""
        return _TEXTS[self]

    @property
    def hits_controller(self) -> bool:
        """Whether the hosts stay well."""
        return self in (Fault.CONTROLLER, Fault.CTRL_C)

    @property
    def cuts_off(self) -> bool:
        """Whether nobody reaches the host until the fault ends."""
        return self in (Fault.SSHD, Fault.LINK)


_TEXTS = {
    Fault.AGENT: "agent killed -9",
    Fault.SSHD: "sshd killed",
    Fault.LINK: "link cut",
    Fault.DISK: "disk full",
    Fault.PIP: "pip fails",
    Fault.OP: "op fails to load",
    Fault.CONTROLLER: "controller killed -9",
    Fault.CTRL_C: "Ctrl-C",
}


class Rest(Enum):
    """What brings the hosts to rest when a run left something open."""

    RECOVER = "recover"
    NEXT_PUSH = "next push"
    """The same command again: it ends what the last one left, then does its own work."""


class Side(Enum):
    """Which distribution a host has: the one from before the run, or the one that it brings."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault in one step."""

    step: Step
    fault: Fault

    @property
    def name(self) -> str:
        """As `--cell` takes it."""
        return f"{self.step.value}:{self.fault.value}"

    @property
    def rest(self) -> Rest:
        """Which way to rest this cell takes: by turns, so that each fault and each step sees both."""
        turn = list(Step).index(self.step) + list(Fault).index(self.fault)
        return Rest.NEXT_PUSH if turn % 2 else Rest.RECOVER

    @property
    def sides(self) -> frozenset[Side]:
        """Which distributions the run may leave on all hosts, once nothing is open any more.

        What is decided before the first host commits is undone, later it is finished. A full disk in verify may be
        noticed or not, and pip is not needed any more there.
        """
        match self.step, self.fault:
            case (Step.VERIFY, Fault.DISK):
                return frozenset(Side)
            case (Step.COMMIT, _) | (Step.VERIFY, Fault.PIP):
                return frozenset({Side.NEW})
            case _:
                return frozenset({Side.OLD})


CELLS = tuple(Cell(step=step, fault=fault) for fault in Fault for step in Step)


def choose_cells(names: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells of `commit:link`, `commit:`, `:link`; all when nothing is named. Raises BenchError."""
    chosen: list[Cell] = []
    for name in names:
        step, _, fault = name.partition(":")
        found = [cell for cell in CELLS if step in ("", cell.step.value) and fault in ("", cell.fault.value)]
        if not found:
            steps, faults = (", ".join(word.value for word in kind) for kind in (Step, Fault))
            raise BenchError(f"there is no cell {name}: STEP:FAULT, of {steps}; {faults}")
        chosen += found
    return tuple(dict.fromkeys(chosen)) or CELLS
