"""What a real agent says for `status` and for a probe about what was deployed, of environments laid out by hand."""

from __future__ import annotations

import json
import os
import venv
from pathlib import Path

import pytest
from agent_client import AgentProcess, Refused
from stamped_hosts import VERSION, StampedHost
from tiny_wheels import TORCH

from orchestrator.model.codec import from_document
from orchestrator.model.deployment import ChangeState
from orchestrator.model.facts import Facts
from orchestrator.model.status import Condition

pytestmark = pytest.mark.process


@pytest.fixture
def host(tmp_path: Path) -> StampedHost:
    """A committed host whose environment has a real interpreter."""
    venv.create(tmp_path / "venv", symlinks=True)
    host = StampedHost(tmp_path)
    (site,) = (tmp_path / "venv").glob("lib/python3.*/site-packages")
    if site != host.site:
        (host.site / "deepspeed").rename(site / "deepspeed")
        host.record.parent.rename(site / host.record.parent.name)
        host.site, host.record = site, site / host.record.parent.name / "RECORD"
    for name, text in {**TORCH, "torch-2.13.0+cpu.dist-info/METADATA": ""}.items():
        host.write(name, text)
    return host.commit()


def status(host: StampedHost, python: str | None = None, **environment: str) -> Condition:
    with AgentProcess(host.folder, environment=environment) as agent:
        return from_document(Condition, agent.ask("status", python=python))


def probe(host: StampedHost) -> Facts:
    with AgentProcess(host.folder) as agent:
        return from_document(Facts, agent.ask("facts", python=f"{host.prefix}/bin/python"))


def test_a_host_says_what_was_committed_and_what_is_there(host: StampedHost) -> None:
    found = status(host)
    assert found.python == f"{host.prefix}/bin/python"
    assert found.ledger.stamp is not None
    assert found.ledger.stamp.deployment == host.stamp["deployment"]
    assert found.deepspeed is not None
    assert (found.deepspeed.version, found.deepspeed.record_sha256) == (VERSION, host.stamp["record_sha256"])
    assert (found.torch_version, found.edited_files, found.edited_count) == ("2.13.0+cpu", (), 0)


def test_gpus_and_driver_are_part_of_the_same_answer(host: StampedHost) -> None:
    folder = host.folder / "bin"
    folder.mkdir()
    rows = [f"{index}, NVIDIA H100, 81559, 550.54.15, GPU-{index}, 9.0" for index in range(2)]
    (folder / "nvidia-smi").write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in rows))
    (folder / "nvidia-smi").chmod(0o755)
    found = status(host, PATH=f"{folder}:{os.environ['PATH']}")
    assert (found.gpus, found.driver) == (("NVIDIA H100", "NVIDIA H100"), "550.54.15")


def test_edited_files_are_named_up_to_twenty_and_counted(host: StampedHost) -> None:
    lines = [f"deepspeed/missing_{number:02}.py,sha256=x,1" for number in range(25)]
    host.record.write_text("\n".join([*lines, ""]))
    assert status(host).edited_count == 0  # another RECORD than the stamped one proves nothing
    host.stamp["record_sha256"] = probe(host).interpreter.deepspeed.record_sha256  # type: ignore[union-attr]
    host.commit()
    found = status(host)
    assert found.edited_files == tuple(f"deepspeed/missing_{number:02}.py" for number in range(20))
    assert found.edited_count == 25
    assert probe(host).edited_files == found.edited_files


def test_a_pending_deployment_is_told_by_status_and_probe(host: StampedHost) -> None:
    pending = {
        "deployment": "20260303T000000Z-x",
        "state": "verified",
        "prefix": str(host.prefix),
        "author": "u@ctl",
        "since": "2026-03-03T00:00:00+00:00",
        "before": None,
        "after": VERSION,
    }
    host.commit(pending={**pending, "stamp": None, "kept": None, "incoming": [], "litter": []})
    found, probed = status(host).ledger.pending, probe(host).pending
    assert found is not None
    assert (found.deployment, found.state) == ("20260303T000000Z-x", ChangeState.VERIFIED)
    assert probed == found


def test_without_a_name_it_is_the_interpreter_of_the_newest_deployment(host: StampedHost, tmp_path: Path) -> None:
    other = StampedHost(tmp_path / "other")
    other.cache = host.cache
    other.stamp["deployment"] = "20270101T000000Z-newer"
    venv.create(other.prefix, symlinks=True)
    other.commit()
    assert status(host).ledger.prefix == str(other.prefix)
    assert status(host, python=f"{host.prefix}/bin/python").ledger.prefix == str(host.prefix)


def test_an_environment_that_was_removed_is_an_error_that_names_it(host: StampedHost) -> None:
    host.prefix.rename(host.folder / "moved")
    with pytest.raises(Refused, match=f"{host.prefix}/bin/python") as refused:
        status(host)
    assert refused.value.kind == "host"


def test_a_host_without_any_deployment_speaks_of_its_own_python(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        found = from_document(Condition, agent.ask("status", python=None))
    assert (found.ledger.stamp, found.ledger.pending) == (None, None)


def test_site_packages_beside_the_cache_are_shared_as_the_cache_is(host: StampedHost) -> None:
    words = [json.dumps(sorted(str(disk.filesystem_id) for disk in probe(host).disks)) for _ in range(2)]
    cache, site_packages, _ = probe(host).disks
    assert words[0] == words[1]
    assert site_packages.filesystem_id == f"{cache.filesystem_id}/{host.site.stat().st_ino}"
