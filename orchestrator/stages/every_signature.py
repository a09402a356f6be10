"""Tell what became of every signature, also of those for which there was nothing to do, or nobody to do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.errors import ExitCode
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import WheelPlan
from orchestrator.model.wheels import make_build_key
from orchestrator.planning.grouping import group
from orchestrator.ports import Store
from orchestrator.stages.plan import Planned


def tell_every_signature(planned: Planned, results: Sequence[WheelResult], store: Store) -> tuple[WheelResult, ...]:
    """Return `results` and those of the plan's other signatures, in the order of their first hosts."""
    had = {result.build_key: result for result in results}
    told = [had.get(wheel.build_key) or _kept(wheel, store) for wheel in planned.plan.wheels]
    told += _without_a_builder(planned)
    places = {row.host: place for place, row in enumerate(planned.plan.hosts)}
    return tuple(sorted(told, key=lambda result: places[result.hosts[0]]))


def _kept(wheel: WheelPlan, store: Store) -> WheelResult:
    return WheelResult(
        signature=wheel.signature,
        build_key=wheel.build_key,
        hosts=wheel.hosts,
        state=WheelState.KEPT,
        artifact=store.get(wheel.sha256) if wheel.sha256 else None,
    )


def _without_a_builder(planned: Planned) -> Iterator[WheelResult]:
    """Return the groups whose hosts could all take a wheel, and for which the plan has none."""
    plan = planned.plan
    rows = {row.host: row for row in plan.hosts}
    for members in group(planned.outcomes.values(), plan.recipe).groups:
        row = rows[members.hosts[0]]
        if plan.wheel_for(row.host) is None:
            yield WheelResult(
                signature=members.signature,
                build_key=make_build_key(members.signature, plan.recipe),
                hosts=members.hosts,
                state=WheelState.FAILED,
                failure=Failure(message=row.reason, hint=row.hint, exit_code=ExitCode.PLAN),
            )
