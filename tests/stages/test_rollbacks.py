"""Carrying out a rollback, on hosts in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fakes.carrier import FakeCarrier
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts, with_deepspeed
from fakes.journal import MemoryJournal
from fakes.pasts import FRESH, deploy, on_disk, with_pip
from fakes.reporter import FakeReporter
from fakes.wheels import make_manifest

from orchestrator.errors import ExitCode, HostError, InstallError
from orchestrator.model.codec import canonical_json
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, HostEnd, Policy
from orchestrator.model.facts import Facts, Gpu, InstalledDeepSpeed
from orchestrator.model.history import Decision, DeploymentKind
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.verification import CheckState
from orchestrator.model.wheels import MANIFEST_NAME, OpRecord
from orchestrator.stages.change import ChangePorts
from orchestrator.stages.rollback import RollbackTask, plan_rollback, roll_back

D1, D2, R1 = "20260101T000000Z-1", "20260102T000000Z-2", "20260103T000000Z-3"
IDENTITY = DeploymentIdentity(id=R1, started_at="2026-01-03T00:00:00+00:00", author="u@ctl")
OLD, NEW = "1.0+torch2.13.cpu", "2.0+torch2.13.cpu"
TWICE = deploy(deploy(FRESH, D1, OLD), D2, NEW)
OPS = (OpRecord(name="cpu_adam", is_built=True), OpRecord(name="async_io", is_built=False))


@dataclass(kw_only=True)
class World:
    """Hosts with a past; once something is put back, `after` is what they say of themselves."""

    facts: Mapping[str, Facts]
    after: Mapping[str, Facts] = field(default_factory=dict)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.fleet = FakeFleet(self.facts)
        for host, remote in self.fleet.remotes.items():
            remote.facts = self.after.get(host, self.facts[host])

    def roll_back(self, to: str | None = None) -> DeploymentResult:
        outcomes = Outcomes(items=tuple(Outcome(host=host, value=found) for host, found in self.facts.items()))
        task = RollbackTask(
            identity=IDENTITY,
            planned=plan_rollback(outcomes, self.journal, to=to),
            pythons=dict.fromkeys(self.facts, "/opt/venv/bin/python"),
            policy=self.policy,
        )
        ports = ChangePorts(
            fleet=self.fleet,
            reopen=lambda: nullcontext(self.fleet),
            carrier=FakeCarrier(),
            journal=self.journal,
            reporter=FakeReporter(),
            now=lambda: "2026-01-03T00:01:00+00:00",
            pause=lambda _: None,
        )
        return roll_back(task, ports)

    def told(self, host: str, operation: str = "activate") -> dict[str, Any]:
        """What a host was last told."""
        return self.fleet.remotes[host].parameters[operation]

    def install_manifest(self, version: str) -> None:
        """Let the DeepSpeed of this version say on every host which ops it has."""
        manifest = canonical_json(make_manifest(deepspeed_version=version, ops=OPS))
        for remote in self.fleet.remotes.values():
            remote.files[f"/opt/venv/lib/deepspeed-{version}.dist-info/{MANIFEST_NAME}"] = manifest


def both(facts: Facts = TWICE) -> dict[str, Facts]:
    return {"a": facts, "b": facts}


def test_every_host_puts_back_what_it_has_kept_and_nothing_is_sent() -> None:
    world = World(facts=both())
    result = world.roll_back()
    assert result.ends == {"a": HostEnd.NEW, "b": HostEnd.NEW}
    assert (result.exit_code, result.deployment) == (ExitCode.DONE, R1)
    told = world.told("a")
    assert (told["way"], told["kept"], told["version"]) == ("kept", f"before-{D2}", OLD)
    assert world.told("a", "stage")["kept"] == f"before-{D2}"
    assert world.fleet.asked("put") == []
    assert world.fleet.asked("has") == []


def test_the_journal_calls_it_a_rollback_and_knows_how_it_ended() -> None:
    world = World(facts=both())
    world.roll_back()
    record = world.journal.records[R1]
    assert (record.kind, record.decision, record.is_over) == (DeploymentKind.ROLLBACK, Decision.COMMIT, True)
    assert [(host.version, host.before, host.wheel_sha256) for host in record.hosts] == [(OLD, NEW, "a" * 64)] * 2


def test_the_stamp_says_the_old_wheel_and_the_new_deployment_on_the_gpus_of_now() -> None:
    gpu = Gpu(index=0, name="H100", driver="580.95")
    world = World(facts={"a": replace(TWICE, gpus=(gpu,))})
    world.roll_back()
    stamp = world.told("a")["stamp"]
    assert (stamp["deployment"], stamp["version"], stamp["replaced"]) == (R1, OLD, NEW)
    assert (stamp["committed_by"], stamp["committed_at"]) == ("u@ctl", IDENTITY.started_at)
    assert (stamp["gpus"], stamp["driver"]) == (["H100"], "580.95")
    assert stamp["wheel_sha256"] == "a" * 64
    assert (stamp["record_sha256"], stamp["restores"]) == ("", D1)


def test_the_stamp_of_a_rollback_that_is_rolled_back_names_the_deployment_that_first_left_that_state() -> None:
    assert TWICE.stamp is not None
    restored = replace(TWICE, stamp=replace(TWICE.stamp, restores=D1))
    world = World(facts={"a": deploy(restored, "20260102T120000Z-4", "4.0")})
    world.roll_back()
    assert world.told("a")["stamp"]["restores"] == D1


def test_what_pip_had_installed_comes_back_without_a_stamp() -> None:
    world = World(facts={"a": deploy(with_pip(FRESH, "0.9"), D1)})
    assert world.roll_back().committed == ("a",)
    assert (world.told("a")["version"], world.told("a")["stamp"]) == ("0.9", None)


def test_a_host_that_had_no_deepspeed_has_none_again_and_there_is_nothing_to_verify() -> None:
    world = World(facts={"a": deploy(FRESH, D1)}, after={"a": FRESH})
    assert world.roll_back().committed == ("a",)
    assert (world.told("a")["version"], world.told("a")["stamp"]) == (None, None)
    assert world.fleet.asked("verify") == []
    assert world.fleet.asked("verified") == ["a"]


def test_the_ops_of_what_came_back_are_verified_as_its_manifest_names_them() -> None:
    after = with_deepspeed(make_facts(), version=OLD)
    world = World(facts=both(), after=both(after))
    world.install_manifest(OLD)
    result = world.roll_back()
    assert list(result.verifications) == ["a", "b"]
    assert (world.told("a", "verify")["version"], [op["name"] for op in world.told("a", "verify")["ops"]]) == (
        OLD,
        ["cpu_adam"],
    )


def test_an_op_that_does_not_work_any_more_brings_all_hosts_back_to_where_they_were() -> None:
    after = with_deepspeed(make_facts(), version=OLD)
    world = World(facts=both(), after=both(after))
    world.install_manifest(OLD)
    world.fleet.remotes["b"].states["cpu_adam"] = CheckState.CRASHED
    result = world.roll_back()
    assert result.ends == {"a": HostEnd.OLD, "b": HostEnd.OLD}
    assert result.exit_code is ExitCode.VERIFY
    assert world.fleet.asked("undo") == ["a", "b"]


def test_prebuilt_ops_that_dsdeploy_did_not_build_are_verified_too() -> None:
    ours = InstalledDeepSpeed(version="0.9", location="/lib", installed_ops={"cpu_adam": True, "quantizer": False})
    after = replace(FRESH, interpreter=replace(TWICE.interpreter, deepspeed=ours))  # type: ignore[type-var]
    world = World(facts={"a": deploy(with_pip(FRESH, "0.9"), D1)}, after={"a": after})
    world.roll_back()
    assert [op["name"] for op in world.told("a", "verify")["ops"]] == ["cpu_adam"]


def test_a_deepspeed_without_prebuilt_ops_is_put_back_unverified() -> None:
    world = World(facts={"a": deploy(with_pip(FRESH, "0.9"), D1)}, after={"a": with_pip(FRESH, "0.9")})
    result = world.roll_back()
    assert (result.committed, result.verifications) == (("a",), {})
    assert world.fleet.asked("verify") == []


def test_a_host_that_fails_brings_all_back() -> None:
    world = World(facts=both())
    world.fleet.remotes["b"].errors["activate"] = InstallError("what was kept is damaged")
    result = world.roll_back()
    assert result.ends == {"a": HostEnd.OLD, "b": HostEnd.OLD}
    assert result.exit_code is ExitCode.INSTALL


def test_hosts_that_the_plan_keeps_are_not_even_locked() -> None:
    world = World(facts={"a": TWICE, "b": FRESH})
    assert world.roll_back().ends == {"a": HostEnd.NEW}
    assert world.fleet.asked("hold") == ["a"]


def test_busy_hosts_are_the_policy_s_affair() -> None:
    world = World(facts=both(), policy=Policy(even_if_busy=True))
    world.roll_back()
    assert world.told("a", "stage")["even_if_busy"] is True


def test_of_hosts_that_share_an_installation_the_one_that_kept_writes_and_the_others_follow() -> None:
    follower = on_disk("nfs", facts=replace(TWICE, kept=()))
    world = World(facts={"follower": follower, "keeper": on_disk("nfs", facts=TWICE), "own": TWICE})
    result = world.roll_back()
    assert set(result.ends.values()) == {HostEnd.NEW}
    assert list(result.ends) == ["follower", "keeper", "own"]
    assert {host: world.told(host)["way"] for host in world.facts} == {
        "follower": "follow",
        "keeper": "kept",
        "own": "kept",
    }
    activated = world.fleet.asked("activate")
    assert activated.index("keeper") < activated.index("follower")
    assert world.told("follower")["stamp"] == world.told("keeper")["stamp"]


def test_rejected_hosts_are_failures_those_that_could_not_be_probed_first() -> None:
    silent = Failure(message="timed out", exit_code=ExitCode.HOST)
    outcomes = Outcomes(
        items=(
            Outcome(host="empty", value=replace(TWICE, kept=())),
            Outcome(host="silent", failure=silent),
            Outcome(host="good", value=TWICE),
        )
    )
    planned = plan_rollback(outcomes, MemoryJournal(), to=None)
    codes = {outcome.host: outcome.failure and outcome.failure.exit_code for outcome in planned.rejections}
    assert codes == {"silent": ExitCode.HOST, "empty": ExitCode.PLAN}
    assert list(codes) == ["silent", "empty"]


def test_hosts_of_which_none_answers_cannot_be_planned_for() -> None:
    silent = Failure(message="timed out", hint="is sshd up?", exit_code=ExitCode.HOST)
    outcomes: Outcomes[Facts] = Outcomes(items=tuple(Outcome(host=f"w-{n}", failure=silent) for n in range(3)))
    with pytest.raises(HostError, match=r"w-\[0-2\]: timed out") as error:
        plan_rollback(outcomes, MemoryJournal(), to=None)
    assert error.value.hint == "is sshd up?"
