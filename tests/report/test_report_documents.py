from __future__ import annotations

import json

import pytest
from report_samples import (
    KEY,
    RECIPE,
    failed,
    make_artifact,
    make_facts,
    make_fan_out_report,
    make_plan,
    make_results,
    make_verification,
)

from orchestrator.errors import ConfigError, ConfigFault, DsdeployError, StoreError, UsageError
from orchestrator.model.codec import from_document
from orchestrator.model.deployment import DeploymentResult, HostEnd
from orchestrator.model.facts import Facts
from orchestrator.model.fanout import FanOutReport
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Delivery, Failure, Outcome, Outcomes
from orchestrator.model.plan import DeployPlan
from orchestrator.model.recipe import Recipe
from orchestrator.model.verification import CheckState, Verification
from orchestrator.model.wheels import Artifact
from orchestrator.planning.grouping import group
from orchestrator.report import documents
from orchestrator.report.documents import Document

FAULT = ConfigFault(source="hostfile", line=3, message="bad entry")


def through_json(document: Document) -> Document:
    """What a program reads after the document was printed."""
    return dict(json.loads(json.dumps(document)))


def make_probe() -> Document:
    facts = {"worker-0": make_facts(), "worker-1": make_facts(torch="2.12.1+cpu")}
    items = [Outcome(host=host, value=value) for host, value in facts.items()]
    silent: Outcome[Facts] = Outcome(host="worker-2", failure=Failure(message="timed out", hint="look"), elapsed_s=10.0)
    return through_json(documents.probe_document(Outcomes(items=(*items, silent)), group(facts, RECIPE)))


def test_hosts_have_their_slots_and_words() -> None:
    document = documents.hosts_document([Host(name="worker-0", slots=(0, 1))])
    host = {"name": "worker-0", "slots": [0, 1], "user": None, "port": None, "python": None}
    assert through_json(document) == {"schema": "dsdeploy.hosts/1", "hosts": [host]}


def test_a_probe_holds_facts_that_can_be_read_back() -> None:
    document = make_probe()
    assert document["schema"] == "dsdeploy.probe/1"
    assert list(document["hosts"]) == ["worker-0", "worker-1"]
    assert from_document(Facts, document["hosts"]["worker-0"]) == make_facts()


def test_a_probe_holds_groups_differences_and_silent_hosts() -> None:
    document = make_probe()
    assert [(each["label"], each["hosts"]) for each in document["groups"]] == [
        ("torch2.13.0+cpu cp311 x86-64-v3", ["worker-0"]),
        ("torch2.12.1+cpu cp311 x86-64-v3", ["worker-1"]),
    ]
    (difference,) = document["differences"]
    assert (difference["label"], difference["value"], difference["hosts"]) == ("torch", "2.12.1+cpu", ["worker-1"])
    (failure,) = document["failures"]
    assert failure == {"host": "worker-2", "elapsed_s": 10.0, "message": "timed out", "hint": "look", "exit_code": 1}


def test_a_plan_can_be_read_back_as_the_same_plan() -> None:
    document = through_json(documents.plan_document(make_plan()))
    assert document["schema"] == "dsdeploy.plan/1"
    assert from_document(DeployPlan, document) == make_plan()


def test_a_verification_says_whether_it_is_good_and_can_be_read_back() -> None:
    crashed = make_verification(bad={"cpu_adam": CheckState.CRASHED})
    document = through_json(documents.verify_document({"a": make_verification(), "b": crashed}, [failed("c", "gone")]))
    assert document["schema"] == "dsdeploy.verify/1"
    assert {host: each["is_good"] for host, each in document["hosts"].items()} == {"a": True, "b": False}
    assert from_document(Verification, document["hosts"]["b"]) == crashed
    assert [each["host"] for each in document["failures"]] == ["c"]


def test_a_provision_tells_plan_and_result() -> None:
    result = DeploymentResult(
        deployment="x",
        built={KEY: make_artifact()},
        deliveries={"worker-0": Delivery(sent_bytes=1, kept_bytes=2)},
        fan_out=make_fan_out_report(),
        verifications={"worker-0": make_verification()},
        ends={"worker-0": HostEnd.NEW, "worker-1": HostEnd.OLD, "worker-2": HostEnd.UNKNOWN, "worker-3": HostEnd.LEFT},
        interrupted=True,
        failures=(failed("worker-1", "gone"),),
    )
    document = through_json(documents.provision_document(make_plan(), result, 3.0))
    assert (document["schema"], document["exit_code"], document["elapsed_s"]) == ("dsdeploy.provision/1", 9, 3.0)
    assert from_document(DeployPlan, document["plan"]) == make_plan()
    assert from_document(Artifact, document["built"][KEY]) == make_artifact()
    assert document["deliveries"] == {"worker-0": {"sent_bytes": 1, "kept_bytes": 2}}
    assert document["verifications"]["worker-0"]["is_good"]
    assert document["ends"] == {"worker-0": "new", "worker-1": "old", "worker-2": "unknown", "worker-3": "left"}
    assert (document["committed"], document["changed"]) == (["worker-0"], ["worker-2", "worker-3"])
    assert document["interrupted"] is True


def test_a_provision_tells_what_the_fan_out_took_and_how_far_that_was_from_the_ideal() -> None:
    report = make_fan_out_report()
    result = DeploymentResult(deployment="x", fan_out=report)
    told = through_json(documents.provision_document(make_plan(), result, 3.0))["fan_out"]
    assert from_document(FanOutReport, told) == report
    assert (told["ideal_s"], told["ratio"]) == (report.ideal_s, report.ratio)
    assert told["topology"]["parents"]["worker-1"] == "worker-0"


def test_a_provision_without_a_fan_out_tells_none() -> None:
    document = documents.provision_document(make_plan(), DeploymentResult(deployment="x"), 3.0)
    assert through_json(document)["fan_out"] is None


def test_a_build_tells_every_signature_and_every_failure() -> None:
    results = make_results()
    failures = [results[-1].outcome, failed("worker-4", "no route")]
    document = through_json(documents.build_document(results, failures, elapsed_s=70.0, timings="/t.html"))
    assert document["schema"] == "dsdeploy.build/1"
    assert (document["elapsed_s"], document["timings"], document["exit_code"]) == (70.0, "/t.html", 5)
    built, kept, broken = document["wheels"]
    assert (built["state"], built["sha256"], built["reused_ops"]) == ("built", "ab" * 32, ["pin_memory", "cpu_lion"])
    assert from_document(Artifact, built["artifact"]) == make_artifact()
    assert (kept["state"], kept["sha256"], kept["artifact"], kept["failure"]) == ("kept", None, None, None)
    assert (broken["state"], broken["hosts"], broken["logs"]) == ("failed", ["worker-3"], "/state/logs/nnn")
    assert broken["failure"]["hint"] == "look"
    assert [(each["host"], each["exit_code"]) for each in document["failures"]] == [
        (broken["label"], 5),
        ("worker-4", 3),
    ]


def test_the_store_holds_whole_manifests() -> None:
    document = through_json(documents.store_document([make_artifact()]))
    assert document["schema"] == "dsdeploy.store/1"
    assert from_document(Artifact, document["wheels"][0]) == make_artifact()


def test_a_recipe_comes_with_its_digest() -> None:
    document = through_json(documents.recipe_document(RECIPE))
    assert from_document(Recipe, document["recipe"]) == RECIPE
    assert document["digest"] == RECIPE.digest()


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        (UsageError("no such host", hint="look"), "usage", 2),
        (ConfigError((FAULT,)), "usage", 2),
        (StoreError("damaged"), "transfer", 6),
        (DsdeployError("what?"), "bug", 1),
    ],
)
def test_an_error_has_the_kind_and_number_of_its_exit_code(error: DsdeployError, kind: str, exit_code: int) -> None:
    document = through_json(documents.error_document(error))
    assert document["schema"] == "dsdeploy.error/1"
    assert document["error"] == {"kind": kind, "message": error.message, "hint": error.hint, "exit_code": exit_code}
