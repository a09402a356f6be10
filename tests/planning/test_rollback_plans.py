"""What a rollback would do to every host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from fakes.pasts import (
    FRESH,
    deploy,
    execute,
    installed,
    make_kept,
    make_record,
    make_stamp,
    on_disk,
    outcomes,
    restore,
    with_pip,
)
from hypothesis import given
from hypothesis import strategies as st
from planning_worlds import with_torch

from orchestrator.errors import PlanError
from orchestrator.model.codec import from_document, to_document
from orchestrator.model.deployment import ChangeState, HostEnd, Pending
from orchestrator.model.facts import Facts, Torch
from orchestrator.model.history import DeploymentRecord, RestorePlan, RollbackPlan
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import HostVerdict
from orchestrator.planning.rollback import make_rollback

INSTALL, KEEP, REJECT = HostVerdict.INSTALL, HostVerdict.KEEP, HostVerdict.REJECT
D1, D2, D3, D4, D5, R1, R2 = (f"2026010{day}T000000Z-{day:06}" for day in range(1, 8))
ONCE = deploy(FRESH, D1, "1.0+a")
TWICE = deploy(ONCE, D2, "2.0+a")
PENDING = Pending(deployment=D3, state=ChangeState.ACTIVATED, prefix="/opt/venv", author="eve@ctl", since="2026-01-03")


def plan(
    facts: Mapping[str, Facts | Failure], to: str | None = None, records: Sequence[DeploymentRecord] = ()
) -> RollbackPlan:
    return make_rollback(outcomes(facts), records, to=to)


def verdicts(made: RollbackPlan) -> dict[str, HostVerdict]:
    return {row.host: row.verdict for row in made.hosts}


def row_of(made: RollbackPlan, host: str = "a") -> RestorePlan:
    return next(row for row in made.hosts if row.host == host)


def refused(facts: Mapping[str, Facts | Failure], to: str | None = None) -> PlanError:
    with pytest.raises(PlanError) as error:
        plan(facts, to)
    return error.value


def test_every_host_of_the_newest_deployment_gets_back_what_it_replaced() -> None:
    made = plan({"a": TWICE, "b": TWICE})
    assert verdicts(made) == {"a": INSTALL, "b": INSTALL}
    assert (made.undoes, made.to, made.has_work) == (D2, D1, True)
    row = row_of(made)
    assert (row.now, row.version, row.kept) == ("2.0+a", "1.0+a", f"before-{D2}")


def test_what_comes_back_of_the_first_deployment_is_no_deployment_s() -> None:
    made = plan({"a": ONCE})
    assert (made.undoes, made.to) == (D1, None)
    assert (row_of(made).version, row_of(made).kept) == (None, f"before-{D1}")


def test_what_pip_had_installed_comes_back_too() -> None:
    made = plan({"a": deploy(with_pip(FRESH, "0.9"), D1)})
    assert (row_of(made).version, made.to) == ("0.9", None)


def test_hosts_that_the_newest_deployment_did_not_change_are_kept() -> None:
    made = plan({"a": TWICE, "b": ONCE, "c": FRESH})
    assert verdicts(made) == {"a": INSTALL, "b": KEEP, "c": KEEP}
    assert D2 in row_of(made, "b").reason
    assert row_of(made, "b").now == "1.0+a"


def test_a_rollback_can_be_rolled_back() -> None:
    back = execute(plan({"a": TWICE}), {"a": TWICE}, R1)
    assert installed(back["a"]) == "1.0+a"
    forward = plan(back)
    assert (forward.undoes, forward.to) == (R1, D2)
    assert installed(execute(forward, back, R2)["a"]) == "2.0+a"


def test_a_rollback_to_nothing_can_be_rolled_back_although_it_left_no_stamp() -> None:
    back = execute(plan({"a": ONCE}), {"a": ONCE}, R1)
    assert (installed(back["a"]), back["a"].stamp) == (None, None)
    assert row_of(plan(back)).version == "1.0+a"


def test_a_host_that_was_left_with_a_failed_wheel_gets_back_what_it_had() -> None:
    left = replace(TWICE, stamp=None)
    made = plan({"a": left})
    assert (made.undoes, row_of(made).version) == (D2, "1.0+a")


def test_a_host_with_a_pending_deployment_is_rejected_and_recovery_is_the_way_out() -> None:
    row = row_of(plan({"a": replace(TWICE, pending=PENDING), "b": TWICE}))
    assert (row.verdict, row.kept) == (REJECT, None)
    assert D3 in row.reason
    assert "eve@ctl" in row.reason
    assert row.hint is not None
    assert "dsdeploy recover" in row.hint


def test_a_host_whose_deepspeed_somebody_else_replaced_is_rejected() -> None:
    row = row_of(plan({"a": with_pip(TWICE, "3.0"), "b": TWICE}))
    assert (row.verdict, row.now) == (REJECT, "3.0")
    assert D2 in row.reason
    assert row.hint is not None


def test_a_host_that_a_rollback_does_not_concern_may_have_been_changed_by_anybody() -> None:
    assert verdicts(plan({"a": TWICE, "b": with_pip(ONCE, "3.0")})) == {"a": INSTALL, "b": KEEP}


def test_a_host_that_has_kept_nothing_is_rejected() -> None:
    row = row_of(plan({"a": replace(TWICE, kept=()), "b": TWICE}))
    assert row.verdict is REJECT
    assert row.hint is not None
    assert "push --wheel" in row.hint


def test_the_journal_names_the_wheel_of_a_host_that_has_kept_nothing() -> None:
    records = [
        make_record(D2, {"a": HostEnd.NEW}, wheel="2" * 64),
        make_record(D1, {"a": HostEnd.NEW, "b": HostEnd.NEW}, wheel="1" * 64),
    ]
    emptied = replace(TWICE, kept=())
    undone = row_of(plan({"a": emptied, "b": TWICE}, records=records))
    returned = row_of(plan({"a": emptied, "b": TWICE}, to=D1, records=records))
    for row in (undone, returned):
        assert row.hint is not None
        assert "dsdeploy store show 111111111111" in row.hint


def test_a_wheel_that_was_undone_on_a_host_was_not_what_it_had() -> None:
    records = [
        make_record(D2, {"a": HostEnd.NEW}, wheel="2" * 64),
        make_record(D1, {"a": HostEnd.OLD}, wheel="1" * 64),
    ]
    row = row_of(plan({"a": replace(TWICE, kept=()), "b": TWICE}, records=records))
    assert row.hint is not None
    assert "store show" not in row.hint


def test_a_host_that_lost_its_memory_is_rejected_where_the_journal_remembers() -> None:
    made = plan({"a": with_pip(FRESH, "2.0+a"), "b": TWICE}, records=[make_record(D2, {"a": HostEnd.NEW})])
    assert verdicts(made) == {"a": REJECT, "b": INSTALL}


def test_what_the_journal_remembers_of_another_environment_does_not_count() -> None:
    record = make_record(D2, {"a": HostEnd.NEW})
    elsewhere = replace(record, hosts=tuple(replace(host, prefix="/other") for host in record.hosts))
    assert verdicts(plan({"a": FRESH, "b": TWICE}, records=[elsewhere])) == {"a": KEEP, "b": INSTALL}


def test_a_wheel_for_a_torch_that_is_gone_does_not_come_back() -> None:
    newer = with_torch(TWICE, Torch(version="2.14.0+cpu"))
    row = row_of(plan({"a": newer, "b": TWICE}))
    assert row.verdict is REJECT
    assert "2.13.0+cpu" in row.reason
    assert "2.14.0+cpu" in row.reason


def test_what_pip_had_installed_comes_back_whatever_torch_is_there() -> None:
    host = with_torch(deploy(with_pip(FRESH, "0.9"), D1), Torch(version="2.14.0+cpu"))
    assert verdicts(plan({"a": host})) == {"a": INSTALL}


def test_a_host_without_its_interpreter_is_rejected() -> None:
    gone = replace(FRESH, interpreter=None, interpreter_error="/opt/venv/bin/python: no such file")
    row = row_of(plan({"a": gone, "b": TWICE}))
    assert (row.verdict, row.reason) == (REJECT, "/opt/venv/bin/python: no such file")


def test_a_host_that_cannot_be_probed_is_a_rejected_row_in_its_place() -> None:
    made = plan({"a": TWICE, "b": Failure(message="timed out", hint="is sshd up?"), "c": TWICE})
    assert [row.host for row in made.hosts] == ["a", "b", "c"]
    assert (row_of(made, "b").verdict, row_of(made, "b").reason) == (REJECT, "timed out")
    assert set(made.facts) == {"a", "c"}


def test_hosts_that_dsdeploy_has_never_changed_have_nothing_to_go_back_to() -> None:
    error = refused({"worker-0": FRESH, "worker-1": with_pip(FRESH, "0.9")})
    assert "worker-[0-1]" in error.message


def test_when_every_host_is_rejected_there_is_no_plan() -> None:
    error = refused({"worker-0": replace(TWICE, pending=PENDING), "worker-1": replace(TWICE, pending=PENDING)})
    assert error.message.count("eve@ctl") == 1
    assert "worker-[0-1]" in error.message
    assert error.hint is not None
    assert "dsdeploy recover" in error.hint


def test_a_plan_goes_through_json_and_back() -> None:
    made = plan({"a": TWICE, "b": ONCE, "c": replace(TWICE, kept=())})
    assert from_document(RollbackPlan, json.loads(json.dumps(to_document(made)))) == made


THRICE = deploy(TWICE, D3, "3.0+a")


def test_hosts_go_back_over_several_deployments_at_once() -> None:
    made = plan({"a": THRICE, "b": TWICE}, to=D1)
    assert verdicts(made) == {"a": INSTALL, "b": INSTALL}
    assert (made.undoes, made.to) == (D3, D1)
    assert (row_of(made).version, row_of(made).kept) == ("1.0+a", f"before-{D2}")


def test_hosts_that_are_there_already_are_kept() -> None:
    assert verdicts(plan({"a": THRICE, "b": TWICE}, to=D2)) == {"a": INSTALL, "b": KEEP}


def test_a_host_that_was_rolled_back_to_a_deployment_is_there_already() -> None:
    back = execute(plan({"a": THRICE}, to=D2), {"a": THRICE}, R1)
    assert verdicts(plan(back, to=D2)) == {"a": KEEP}


def test_a_state_is_known_by_its_first_deployment_however_often_hosts_went_back_and_forth() -> None:
    hosts = {"a": TWICE}
    for deployment in (D3, D4, D5):
        hosts = execute(plan(hosts), hosts, deployment)
    assert D1 not in {kept.stamp.deployment for kept in hosts["a"].kept if kept.stamp}
    assert (installed(hosts["a"]), verdicts(plan(hosts, to=D1))) == ("1.0+a", {"a": KEEP})
    forward = plan(hosts, to=D2)
    assert row_of(forward).version == "2.0+a"
    assert row_of(plan(execute(forward, hosts, R1), to=D1)).version == "1.0+a"


def test_a_host_that_is_there_but_was_changed_by_somebody_else_is_rejected() -> None:
    assert verdicts(plan({"a": THRICE, "b": with_pip(TWICE, "9.9")}, to=D2)) == {"a": INSTALL, "b": REJECT}


def test_a_rollback_is_a_deployment_to_go_back_to() -> None:
    back = execute(plan({"a": TWICE}), {"a": TWICE}, D3)
    later = deploy(back["a"], D4, "4.0+a")
    made = plan({"a": later}, to=D3)
    assert (row_of(made).version, made.to) == ("1.0+a", D3)


def test_hosts_that_a_deployment_came_too_early_or_too_late_for_are_kept() -> None:
    between = deploy(ONCE, D3, "3.0+a")
    made = plan({"a": THRICE, "early": ONCE, "never": FRESH, "between": between}, to=D2)
    assert verdicts(made) == {"a": INSTALL, "early": KEEP, "never": KEEP, "between": KEEP}


def test_a_host_whose_oldest_state_fell_out_is_rejected_when_nobody_knows_that_it_was_another() -> None:
    long_ago = deploy(deploy(THRICE, D4, "4.0+a"), D5, "5.0+a")
    assert D1 not in {kept.stamp.deployment for kept in long_ago.kept if kept.stamp}
    assert verdicts(plan({"a": ONCE, "b": long_ago}, to=D1)) == {"a": KEEP, "b": REJECT}


def test_the_journal_can_tell_that_a_host_had_no_part_in_a_deployment() -> None:
    late = deploy(FRESH, D3, "3.0+a")
    assert verdicts(plan({"a": THRICE, "b": late}, to=D2)) == {"a": INSTALL, "b": REJECT}
    record = make_record(D2, {"a": HostEnd.NEW})
    assert verdicts(plan({"a": THRICE, "b": late}, to=D2, records=[record])) == {"a": INSTALL, "b": KEEP}
    dropped = make_record(D2, {"a": HostEnd.NEW, "b": HostEnd.OLD})
    assert verdicts(plan({"a": THRICE, "b": late}, to=D2, records=[dropped])) == {"a": INSTALL, "b": KEEP}


@pytest.mark.parametrize("end", [None, HostEnd.UNKNOWN])
def test_a_journal_that_does_not_know_how_a_host_ended_proves_nothing(end: HostEnd | None) -> None:
    record = make_record(D2, {"a": HostEnd.NEW, "b": end})
    late = deploy(FRESH, D3, "3.0+a")
    assert verdicts(plan({"a": THRICE, "b": late}, to=D2, records=[record]))["b"] is REJECT


def test_a_journal_made_of_stamps_proves_nothing_about_hosts_that_it_lacks() -> None:
    record = replace(make_record(D2, {"a": HostEnd.NEW}), is_from_stamps=True)
    late = deploy(FRESH, D3, "3.0+a")
    assert verdicts(plan({"a": THRICE, "b": late}, to=D2, records=[record]))["b"] is REJECT


def test_a_host_that_lost_its_memory_is_not_taken_for_one_that_is_there() -> None:
    record = make_record(D1, {"a": HostEnd.NEW, "b": HostEnd.NEW})
    assert verdicts(plan({"a": TWICE, "b": FRESH}, to=D1, records=[record])) == {"a": INSTALL, "b": REJECT}


@pytest.mark.parametrize("to", [D1, D1[:8], D1[:4] + D1[4:10]])
def test_the_beginning_of_an_id_is_enough(to: str) -> None:
    assert plan({"a": TWICE}, to=to).to == D1


def test_an_unknown_deployment_is_told_with_those_that_there_are() -> None:
    error = refused({"a": TWICE, "b": FRESH}, to="20251231")
    assert "20251231" in error.message
    assert error.hint == f"there are: {D2}, {D1}"


@pytest.mark.parametrize("to", ["202601", "202", ""])
def test_a_beginning_that_several_have_or_that_is_too_short_is_refused(to: str) -> None:
    assert refused({"a": TWICE}, to=to).message.startswith(f"--to {to}: ")


def test_a_deployment_that_was_undone_everywhere_cannot_be_gone_back_to() -> None:
    with pytest.raises(PlanError, match="no such deployment"):
        make_rollback(outcomes({"a": TWICE}), [make_record(D3, {"a": HostEnd.OLD})], to=D3)


def test_hosts_that_share_an_installation_get_back_what_one_of_them_has_kept() -> None:
    writer = on_disk("nfs", facts=TWICE)
    follower = on_disk("nfs", facts=replace(TWICE, kept=()))
    made = plan({"follower": follower, "writer": writer})
    assert verdicts(made) == {"follower": INSTALL, "writer": INSTALL}
    assert {row.kept for row in made.hosts} == {f"before-{D2}"}
    assert made.facts == {"follower": follower.digest(), "writer": writer.digest()}


def test_a_host_that_joined_an_installation_later_goes_back_with_it() -> None:
    joined = on_disk("nfs", facts=with_pip(FRESH, "2.0+a"))
    assert verdicts(plan({"joined": joined, "writer": on_disk("nfs", facts=TWICE)})) == {
        "joined": INSTALL,
        "writer": INSTALL,
    }


def test_of_hosts_that_share_an_installation_all_are_rejected_or_none() -> None:
    shared = on_disk("nfs", facts=TWICE)
    made = plan({"a": shared, "b": replace(shared, pending=PENDING), "c": TWICE})
    assert verdicts(made) == {"a": REJECT, "b": REJECT, "c": INSTALL}
    assert row_of(made, "a").reason.startswith("it shares its installation with b: ")
    assert row_of(made, "a").kept is None


VERSIONS = st.sampled_from(["1.0+a", "2.0+a", "3.0+a"])
HOSTS = ("a", "b", "c", "d")


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Facts]]:
    """What four hosts were after each of up to three deployments, each to some of them; the first: before all."""
    start = {host: draw(st.sampled_from([FRESH, with_pip(FRESH, "0.9")])) for host in HOSTS}
    states = [start]
    for deployment in (D1, D2, D3)[: draw(st.integers(1, 3))]:
        chosen = draw(st.sets(st.sampled_from(HOSTS), min_size=1))
        version = draw(VERSIONS)
        states.append(
            {
                host: deploy(facts, deployment, version) if host in chosen else facts
                for host, facts in states[-1].items()
            }
        )
    return states


def versions(facts: Mapping[str, Facts]) -> dict[str, str | None]:
    return {host: installed(found) for host, found in facts.items()}


@given(histories())
def test_rolling_back_leads_to_the_state_before_and_rolling_back_again_to_the_one_after(
    history: list[dict[str, Facts]],
) -> None:
    before, after = history[-2:]
    back = execute(plan(after), after, R1)
    assert versions(back) == versions(before)
    assert versions(execute(plan(back), back, R2)) == versions(after)


@given(histories())
def test_only_hosts_of_the_newest_deployment_are_changed(history: list[dict[str, Facts]]) -> None:
    before, after = history[-2:]
    changed = {host for host in HOSTS if before[host] != after[host]}
    assert {row.host for row in plan(after).hosts if row.verdict is INSTALL} == changed


@given(histories(), st.data())
def test_going_back_to_a_deployment_gives_its_hosts_what_it_left_them_and_doing_it_again_changes_nothing(
    history: list[dict[str, Facts]], data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, len(history) - 1))
    deployment, then = (D1, D2, D3)[number - 1], history[number]
    of_it = [host for host in HOSTS if then[host] != history[number - 1][host]]
    records = [make_record(deployment, dict.fromkeys(of_it, HostEnd.NEW))]
    made = plan(history[-1], to=deployment, records=records)
    after = execute(made, history[-1], R1)
    assert {host: installed(after[host]) for host in of_it} == {host: installed(then[host]) for host in of_it}
    assert all(after[host] == history[-1][host] for host in HOSTS if host not in of_it)
    assert not plan(after, to=deployment, records=records).has_work


ANY_HOST = st.builds(
    replace,
    st.sampled_from([FRESH, ONCE, TWICE, THRICE, with_pip(TWICE, "9"), replace(TWICE, stamp=None)]),
    pending=st.sampled_from([None, None, PENDING]),
    kept=st.sampled_from([(), TWICE.kept, THRICE.kept, (make_kept(D4, make_stamp(D2, torch="2.0")),)]),
    interpreter=st.sampled_from([FRESH.interpreter, TWICE.interpreter, None]),
)


@given(
    st.lists(st.one_of(ANY_HOST, st.just(Failure(message="timed out"))), min_size=1, max_size=6),
    st.sampled_from([None, D1, D2, D3, D4]),
    st.sampled_from([(), (make_record(D2, {"h0": HostEnd.NEW, "h1": HostEnd.OLD}),)]),
)
def test_every_host_has_one_row_in_hostfile_order_and_something_to_put_back_exactly_when_it_is_changed(
    found: list[Facts | Failure], to: str | None, records: tuple[DeploymentRecord, ...]
) -> None:
    facts = {f"h{number}": each for number, each in enumerate(found)}
    try:
        made = plan(facts, to=to, records=records)
    except PlanError:
        return
    assert [row.host for row in made.hosts] == list(facts)
    assert all((row.verdict is INSTALL) == (row.kept is not None) for row in made.hosts)
    assert all(row.reason for row in made.hosts)
    for row in made.hosts:
        host = facts[row.host]
        if row.verdict is INSTALL:
            assert isinstance(host, Facts)
            assert host.pending is None
            assert installed(restore(host, row, R1)) == row.version
