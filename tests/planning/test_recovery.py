from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.deployment import ChangeState, HostLedger, Pending
from orchestrator.model.history import Decision, DeploymentKind, DeploymentRecord, HostRecord
from orchestrator.planning.recovery import decide_recovery

ID = "20260102T030405Z-abc"
AT_REST = HostLedger(prefix="/opt/venv")
COMMITTED = HostLedger(prefix="/opt/venv", committed=ID)


def pending(state: ChangeState, *, deployment: str = ID, prefix: str = "/opt/venv") -> HostLedger:
    found = Pending(
        deployment=deployment, state=state, prefix=prefix, author="u@ctl", since="2026-01-02T03:04:05+00:00"
    )
    return HostLedger(prefix=prefix, pending=found)


def record(
    decisions: Mapping[str, Decision], whole: Decision, *, is_from_stamps: bool = False
) -> dict[str, DeploymentRecord]:
    found = DeploymentRecord(
        id=ID,
        kind=DeploymentKind.INSTALL,
        started_at="2026-01-02T03:04:05+00:00",
        author="u@ctl",
        hosts=tuple(HostRecord(host=host, decision=decision) for host, decision in decisions.items()),
        decision=whole,
        is_from_stamps=is_from_stamps,
    )
    return {ID: found}


def decisions(ledgers: Mapping[str, HostLedger], records: Mapping[str, DeploymentRecord]) -> dict[str, Decision]:
    steps = decide_recovery({host: (ledger,) for host, ledger in ledgers.items()}, records)
    return {host: step.decision for host, (step,) in steps.items()}


def test_hosts_at_rest_are_left_alone() -> None:
    assert decide_recovery({"a": (), "b": (AT_REST, COMMITTED)}, {}) == {}


@pytest.mark.parametrize("state", [state for state in ChangeState if state is not ChangeState.VERIFIED])
@pytest.mark.parametrize("records", [{}, record({"a": Decision.COMMIT}, Decision.COMMIT)])
def test_what_was_not_verified_goes_back_whatever_was_decided(
    state: ChangeState, records: Mapping[str, DeploymentRecord]
) -> None:
    assert decisions({"a": pending(state), "b": COMMITTED}, records) == {"a": Decision.UNDO}


@pytest.mark.parametrize("decision", Decision)
def test_the_journals_decision_holds(decision: Decision) -> None:
    expected = Decision.COMMIT if decision is Decision.COMMIT else Decision.UNDO
    found = decisions({"a": pending(ChangeState.VERIFIED)}, record({"a": decision}, decision))
    assert found == {"a": expected}


def test_a_host_that_was_dropped_goes_back_while_the_others_go_forward() -> None:
    records = record({"a": Decision.COMMIT, "b": Decision.UNDO}, Decision.COMMIT)
    ledgers = {"a": pending(ChangeState.VERIFIED), "b": pending(ChangeState.VERIFIED), "c": COMMITTED}
    assert decisions(ledgers, records) == {"a": Decision.COMMIT, "b": Decision.UNDO}


def test_without_a_journal_one_host_that_has_committed_decides() -> None:
    ledgers = {"a": pending(ChangeState.VERIFIED), "b": pending(ChangeState.VERIFIED)}
    assert decisions(ledgers, {}) == {"a": Decision.UNDO, "b": Decision.UNDO}
    assert decisions({**ledgers, "c": COMMITTED}, {}) == {"a": Decision.COMMIT, "b": Decision.COMMIT}


def test_a_journal_rebuilt_from_stamps_knows_only_what_was_committed() -> None:
    records = record({"c": Decision.COMMIT}, Decision.COMMIT, is_from_stamps=True)
    assert decisions({"a": pending(ChangeState.VERIFIED)}, records) == {"a": Decision.COMMIT}


def test_each_interpreter_of_a_host_has_its_own_step() -> None:
    one = pending(ChangeState.VERIFIED, prefix="/one")
    two = pending(ChangeState.ACTIVATING, prefix="/two", deployment="another")
    steps = decide_recovery({"a": (one, AT_REST, two), "b": (COMMITTED,)}, {})
    assert [(step.pending.prefix, step.decision) for step in steps["a"]] == [
        ("/one", Decision.COMMIT),
        ("/two", Decision.UNDO),
    ]


HOSTS = ("a", "b", "c", "d")
BEFORE_DECIDING = st.lists(st.sampled_from([None, *ChangeState]), min_size=4, max_size=4)
AFTER_DECIDING = st.lists(st.booleans(), min_size=4, max_size=4)


@given(states=BEFORE_DECIDING, knows=st.booleans())
def test_before_the_decision_all_go_back(*, states: list[ChangeState | None], knows: bool) -> None:
    ledgers = {host: pending(state) if state else AT_REST for host, state in zip(HOSTS, states, strict=True)}
    records = record(dict.fromkeys(HOSTS, Decision.OPEN), Decision.OPEN) if knows else {}
    assert set(decisions(ledgers, records).values()) <= {Decision.UNDO}


@given(have_committed=AFTER_DECIDING, knows=st.booleans())
def test_after_the_decision_all_go_forward(*, have_committed: list[bool], knows: bool) -> None:
    ledgers = {
        host: COMMITTED if done else pending(ChangeState.VERIFIED)
        for host, done in zip(HOSTS, have_committed, strict=True)
    }
    records = record(dict.fromkeys(HOSTS, Decision.COMMIT), Decision.COMMIT) if knows else {}
    found = decisions(ledgers, records)
    assert len(set(found.values())) <= 1
    if knows or any(have_committed):
        assert set(found.values()) <= {Decision.COMMIT}
