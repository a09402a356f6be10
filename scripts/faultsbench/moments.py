"""Brings a run exactly to a step: nothing is timed, hosts' ledgers and processes are watched, and agents held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from faultsbench.cells import Step
from faultsbench.controller import Started
from faultsbench.errors import NotReachedError
from faultsbench.hosts import HostView, maps_of, thaw

_POLL_S = 0.003
_LIMIT_S = 240.0
_OPS = b'{"ops"'
"""How the order begins that the program gets which loads the ops (orchestrator/agent/verification.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A run, and the parts that hosts play in it."""

    started: Started
    victim: HostView
    spoiler: HostView
    """Holds others up until the victim is where it is wanted; for a rollback it is the one whose ops do not load."""
    others: Sequence[HostView]

    def thaw(self) -> None:
        """Let every host go on."""
        for view in (self.victim, self.spoiler, *self.others):
            thaw(view.processes())


def reach(step: Step, scene: Scene) -> None:
    """Return when the run is in that step; the victim's agents stand still then.

    Raises NotReachedError when the run has gone on too far, or has ended.
    """
    match step:
        case Step.STAGE:
            _hold(scene, scene.victim, _is_staging)
        case Step.ACTIVATE:
            _hold(scene, scene.victim, _is_torn)
        case Step.VERIFY:
            _hold(scene, scene.victim, _is_about_to_load)
        case Step.COMMIT:
            _hold(scene, scene.spoiler, _is_verifying)
            _hold(scene, scene.victim, _is_verified)
            thaw(scene.spoiler.processes())
            deployment = scene.victim.ledger().deployment
            _until(scene, lambda: any(view.ledger().stamp_deployment == deployment for view in scene.others))
        case Step.ROLLBACK:
            _hold(scene, scene.spoiler, _is_verifying)
            _until(scene, lambda: all(map(_is_verified, (scene.victim, *scene.others))))
            thaw(scene.spoiler.processes())
            _hold(scene, scene.victim, _is_going_back)
            _until(scene, lambda: any(view.ledger().state is None for view in scene.others))


@contextmanager
def hold_staging(started: Started, view: HostView) -> Iterator[None]:
    """Hold a run on one host while it is staged there. Raises NotReachedError."""
    _hold(Scene(started=started, victim=view, spoiler=view, others=()), view, _is_staging)
    try:
        yield
    finally:
        thaw(view.processes())


def _hold(scene: Scene, view: HostView, sign: Callable[[HostView], bool]) -> None:
    """Let a host's agents stand still as soon as there is the sign."""
    _until(scene, lambda: sign(view))
    view.freeze_agents()
    if not sign(view):
        thaw(view.processes())
        raise NotReachedError(f"{view.name} went on before it could be held: {sign.__name__.strip('_')} no more")


def _until(scene: Scene, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not condition():
        if scene.started.process.poll() is not None:
            raise NotReachedError(f"the run ended with {scene.started.process.returncode} before it came to the step")
        if time.monotonic() > deadline:
            raise NotReachedError(f"the run did not come to the step within {_LIMIT_S:g} s")
        time.sleep(_POLL_S)


def _is_staging(view: HostView) -> bool:
    return bool(view.running(b"--dry-run"))


def _is_torn(view: HostView) -> bool:
    """Tell whether pip has taken out a part of the old one: it gives folders that go a name with a tilde first."""
    is_torn = any(path.name.startswith("~") for path in view.site_packages.iterdir())
    return is_torn and view.ledger().state == "activating"


def _is_verifying(view: HostView) -> bool:
    return bool(view.running(_OPS)) and view.ledger().state == "activated"


def _is_about_to_load(view: HostView) -> bool:
    """Tell whether ops are to be loaded, and torch is not yet: what is taken away now will be missed."""
    return _is_verifying(view) and not any("libtorch" in maps_of(process) for process in view.running(_OPS))


def _is_verified(view: HostView) -> bool:
    return view.ledger().state == "verified"


def _is_going_back(view: HostView) -> bool:
    return view.ledger().state == "undoing"
