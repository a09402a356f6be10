"""Load every op of a wheel on every host, for real, and read DeepSpeed's own report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import TransferError, VerifyError
from orchestrator.model.codec import from_document
from orchestrator.model.events import HostProgress, Stage
from orchestrator.model.facts import InstalledDeepSpeed
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.signature import Accelerator
from orchestrator.model.verification import Verification
from orchestrator.model.wheels import MANIFEST_NAME, Manifest
from orchestrator.planning.folding import fold_gpus
from orchestrator.ports import Fleet, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.on_hosts import on_hosts
from orchestrator.stages.probe import read_facts, target_python

_OP_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpToCheck:
    """One op that must load; `module` None: wherever its builder says."""

    name: str
    module: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOrder:
    """What must be true on one host."""

    python: str
    version: str
    accelerator: str
    """DeepSpeed's own word, for `DS_ACCELERATOR`."""
    ops: tuple[OpToCheck, ...]

    @classmethod
    def of_manifest(cls, manifest: Manifest, python: str) -> VerifyOrder:
        """Return the order that holds a host to all that its wheel's manifest says."""
        return cls(
            python=python,
            version=manifest.deepspeed_version,
            accelerator=manifest.signature.accelerator.deepspeed_name,
            ops=tuple(OpToCheck(name=op.name, module=op.module) for op in manifest.ops if op.is_built),
        )

    def parameters(self) -> dict[str, Any]:
        """Return the agent's parameters for `verify`."""
        return {
            "python": self.python,
            "version": self.version,
            "accelerator": self.accelerator,
            "ops": [{"name": op.name, "module": op.module} for op in self.ops],
            "timeout_s": _OP_TIMEOUT_S,
        }


def verify_installed(
    hosts: Sequence[Host], *, python: str | None, fleet: Fleet, reporter: Reporter
) -> Outcomes[Verification]:
    """Return what the ops of each host's installed DeepSpeed do, whoever installed it.

    An op that fails is in the value, not a failure of the host.
    """
    pythons = {host.name: target_python(host, python) for host in hosts}

    def task(remote: Remote) -> Verification:
        return verify_order(remote, _ops_of_installed(remote, pythons[remote.host]), reporter)

    return on_hosts(Stage.VERIFY, list(pythons), task, fleet=fleet, reporter=reporter)


def verify_order(remote: Remote, order: VerifyOrder, reporter: Reporter) -> Verification:
    """Return what one host's ops did. Raises VerifyError when another DeepSpeed is installed there."""

    def tell(event: Mapping[str, Any]) -> None:
        reporter.emit(HostProgress(stage=Stage.VERIFY, host=remote.host, text=str(event.get("op", ""))))

    timeout_s = _OP_TIMEOUT_S * (len(order.ops) + 2)
    answer = remote.request("verify", order.parameters(), on_event=tell, timeout_s=timeout_s)
    return read_answer(Verification, answer, remote)


def find_installed_order(remote: Remote, python: str) -> VerifyOrder | None:
    """Return what an installed DeepSpeed says of itself: its manifest, else its own record; None without DeepSpeed."""
    interpreter = read_facts(remote, python).interpreter
    if interpreter is None or interpreter.deepspeed is None:
        return None
    installed = interpreter.deepspeed
    manifest = _installed_manifest(remote, installed)
    return VerifyOrder.of_manifest(manifest, python) if manifest else _recorded_order(installed, python)


def _ops_of_installed(remote: Remote, python: str) -> VerifyOrder:
    order = find_installed_order(remote, python)
    if order is None:
        raise VerifyError(f"{remote.host}: DeepSpeed is not installed in {python}", hint="dsdeploy provision")
    if not order.ops:
        raise VerifyError(
            f"{remote.host}: DeepSpeed {order.version} in {python} has no prebuilt op: each is compiled when used",
            hint="dsdeploy provision installs one whose ops are built",
        )
    return order


def _recorded_order(installed: InstalledDeepSpeed, python: str) -> VerifyOrder:
    return VerifyOrder(
        python=python,
        version=installed.version,
        accelerator=installed.accelerator or Accelerator.CPU.deepspeed_name,
        ops=tuple(OpToCheck(name=op) for op, is_built in installed.installed_ops.items() if is_built),
    )


def _installed_manifest(remote: Remote, installed: InstalledDeepSpeed) -> Manifest | None:
    """Return the manifest in the installed dist-info; None when something else than dsdeploy built it."""
    path = f"{installed.location}/deepspeed-{installed.version}.dist-info/{MANIFEST_NAME}"
    with tempfile.TemporaryDirectory(prefix="dsdeploy-") as folder:
        copy = Path(folder, MANIFEST_NAME)
        try:
            remote.get(path, copy)
            return from_document(Manifest, json.loads(copy.read_bytes()))
        except (TransferError, ValueError):
            return None


def failed_verifications(verifications: Mapping[str, Verification]) -> Sequence[Outcome[object]]:
    """Return a failure for each host on which an op cannot be used or the report could not be read."""
    return tuple(
        Outcome(host=host, failure=_failure(host, verification))
        for host, verification in verifications.items()
        if not verification.is_good
    )


def _failure(host: str, verification: Verification) -> Failure:
    bad = [
        " on ".join(filter(None, (f"{each.op} {each.state.value}", fold_gpus(each.gpus))))
        for each in verification.bad_ops
    ]
    if verification.report is None:
        bad.append(f"ds_report could not be read ({verification.report_error})")
    return Failure(
        message=f"{host}: {', '.join(bad)}",
        hint=f"dsdeploy verify -i {host} shows each op's own words",
        exit_code=VerifyError.exit_code,
    )
