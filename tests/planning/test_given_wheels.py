from __future__ import annotations

from dataclasses import replace

from planning_worlds import FACTS, PYTHON, SIGNATURE, deployed

from orchestrator.errors import ExitCode
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.plan import DeployPlan, HostVerdict, WheelVerdict
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, Sha256
from orchestrator.planning.again import install_again
from orchestrator.planning.given_wheel import plan_given_wheel

GIVEN = Artifact(
    sha256=Sha256("a" * 64),
    filename="deepspeed.whl",
    size_bytes=1,
    manifest=Manifest(
        build_key=BuildKey("key"),
        signature=SIGNATURE,
        recipe="cpu-training",
        recipe_digest="0" * 64,
        source=Source(kind=SourceKind.VERSION, value="0.19.8"),
        source_sha256="0" * 64,
        deepspeed_version="0.19.8+torch2.13.cpu",
        ops=(),
    ),
)


def plan(*outcomes: Outcome[Facts], misfits: tuple[str, ...] = (), force: bool = False) -> DeployPlan:
    return plan_given_wheel(GIVEN, Outcomes(items=outcomes), find_misfits=lambda _facts: misfits, force=force)


def outcome(host: str, facts: Facts) -> Outcome[Facts]:
    return Outcome(host=host, value=facts)


def test_hosts_stay_in_the_order_of_the_hostfile_each_in_one_bucket() -> None:
    unfit = replace(FACTS, interpreter=replace(PYTHON, is_writable=False))
    gone: Outcome[Facts] = Outcome(host="d", failure=Failure(message="refused", hint="x", exit_code=ExitCode.HOST))
    given = plan(outcome("c", FACTS), gone, outcome("b", deployed(FACTS, GIVEN)), outcome("a", unfit))
    assert [(row.host, row.verdict) for row in given.hosts] == [
        ("c", HostVerdict.INSTALL),
        ("d", HostVerdict.REJECT),
        ("b", HostVerdict.KEEP),
        ("a", HostVerdict.REJECT),
    ]
    assert (given.hosts[1].reason, given.hosts[1].hint) == ("refused", "x")
    (wheel,) = given.wheels
    assert (wheel.verdict, wheel.hosts, wheel.sha256) == (WheelVerdict.REUSE, ("c", "b"), GIVEN.sha256)
    assert set(given.facts) == {"a", "b", "c"}


def test_a_host_that_the_wheel_does_not_fit_is_rejected_with_all_reasons() -> None:
    (row,) = plan(outcome("a", FACTS), misfits=("built for cp310", "needs GLIBC_2.38")).hosts
    assert (row.verdict, row.build_key) == (HostVerdict.REJECT, None)
    assert "built for cp310" in row.reason
    assert "needs GLIBC_2.38" in row.reason
    assert row.hint


def test_force_installs_where_the_wheel_is_in_place_already() -> None:
    in_place = outcome("a", deployed(FACTS, GIVEN))
    assert plan(in_place).is_empty
    assert [row.verdict for row in plan(in_place, force=True).hosts] == [HostVerdict.INSTALL]


def test_installing_again_changes_kept_hosts_only() -> None:
    unfit = replace(FACTS, interpreter=None)
    before = plan(outcome("kept", deployed(FACTS, GIVEN)), outcome("new", FACTS), outcome("unfit", unfit))
    after = install_again(before)
    assert [row.verdict for row in after.hosts] == [HostVerdict.INSTALL, HostVerdict.INSTALL, HostVerdict.REJECT]
    assert after.hosts[1:] == before.hosts[1:]
    assert (after.wheels, after.facts) == (before.wheels, before.facts)
