from __future__ import annotations

from report_samples import drawn

from orchestrator.errors import ExitCode
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.status import ClusterStatus, Drift, DriftKind, HostState, HostStatus
from orchestrator.report.documents import status_document
from orchestrator.report.tables.status import status_table

ID = "20260202T000000Z-b"
SAME = HostStatus(host="a", state=HostState.SAME, text=f"DeepSpeed 0.19.8 of deployment {ID}", deployment=ID)
TORCH = Drift(kind=DriftKind.TORCH, text="torch was 2.13.0 and is 2.12.1")
FILES = Drift(kind=DriftKind.FILES, text="files were edited: deepspeed/a.py")
REFUSED = Failure(message="refused the connection", hint="start its sshd", exit_code=ExitCode.HOST)


def host(name: str, state: HostState, *drifts: Drift, text: str = "its text") -> HostStatus:
    return HostStatus(host=name, state=state, text=text, drifts=drifts)


def rows(*hosts: HostStatus, width: int = 120) -> list[str]:
    text = drawn(status_table(ClusterStatus(deployment=ID, hosts=hosts)), width=width)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def named(name: str) -> HostStatus:
    return HostStatus(host=name, state=HostState.SAME, text=SAME.text)


def test_equal_hosts_share_a_row_and_the_sum_is_good() -> None:
    header, row, end = rows(*(named(f"worker-{number}") for number in range(16)))
    assert row.split() == ["worker-[0-15]", "same", *SAME.text.split()]
    assert header.split()[:2] == ["HOSTS", "STATE"]
    assert end == f"✓ 16 hosts: 16 same; last deployment {ID}"


def test_a_drifted_host_shows_each_reason_and_how_to_put_it_right() -> None:
    _, first, second, third, hint, end = rows(named("worker-0"), host("worker-1", HostState.DRIFTED, TORCH, FILES))
    assert first.startswith("worker-0")
    assert (second.split()[:2], second.endswith(TORCH.text)) == (["worker-1", "drifted"], True)
    assert third.strip() == FILES.text
    assert hint == "hint: dsdeploy provision puts it right"
    assert end == f"✗ 2 hosts: 1 same, 1 drifted; last deployment {ID}"


def test_hosts_with_other_evidence_have_rows_of_their_own() -> None:
    said = rows(host("a-1", HostState.DRIFTED, TORCH), host("a-2", HostState.DRIFTED, FILES))
    assert [line.split()[0] for line in said[1:3]] == ["a-1", "a-2"]


def test_hosts_that_could_not_be_asked_are_told_with_the_reason() -> None:
    failures = (Outcome[object](host="worker-1", failure=REFUSED),)
    hosts = (named("worker-0"), host("worker-1", HostState.UNKNOWN))
    text = drawn(status_table(ClusterStatus(deployment=ID, hosts=hosts, failures=failures)), width=120)
    assert "worker-1: refused the connection" in text
    assert "start its sshd" in text
    assert "1 same, 1 unknown" in text


def test_a_cluster_without_any_deployment_says_so() -> None:
    hosts = (host("a", HostState.NEVER),)
    text = drawn(status_table(ClusterStatus(deployment=None, hosts=hosts)), width=120)
    assert "1 never-deployed; no deployment is known" in text


def test_the_document_holds_every_host_with_its_drifts() -> None:
    drifted = host("worker-1", HostState.DRIFTED, TORCH)
    document = status_document(ClusterStatus(deployment=ID, hosts=(SAME, drifted)))
    assert (document["schema"], document["exit_code"], document["deployment"]) == ("dsdeploy.status/1", 10, ID)
    assert [each["state"] for each in document["hosts"]] == ["same", "drifted"]
    assert document["hosts"][1]["drifts"] == [{"kind": "torch", "text": TORCH.text}]
    assert document["failures"] == []
