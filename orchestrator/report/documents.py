"""The JSON documents of `--json`, one schema each; a field may be added, never change its meaning.

Hosts appear by name, in hostfile order; times are seconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import DsdeployError
from orchestrator.model.audit import FitVerdict, WheelContents
from orchestrator.model.building import WheelResult
from orchestrator.model.codec import to_document
from orchestrator.model.deployment import DeploymentResult, HostEnd
from orchestrator.model.facts import Facts
from orchestrator.model.fanout import FanOutReport
from orchestrator.model.history import DeploymentRecord, RollbackPlan
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcome, Outcomes, worst_exit_code
from orchestrator.model.plan import DeployPlan
from orchestrator.model.recipe import Recipe
from orchestrator.model.recovery import Recovered
from orchestrator.model.status import ClusterStatus
from orchestrator.model.verification import Verification
from orchestrator.model.wheels import Artifact
from orchestrator.planning.differences import differences
from orchestrator.planning.grouping import Grouping

Document = dict[str, Any]


def hosts_document(hosts: Sequence[Host]) -> Document:
    """Return `dsdeploy.hosts/1`: the hosts that were chosen, with their slots and extra words."""
    return {"schema": "dsdeploy.hosts/1", "hosts": to_document(tuple(hosts))}


def probe_document(outcomes: Outcomes[Facts], grouping: Grouping) -> Document:
    """Return `dsdeploy.probe/1`: all facts, the groups and what makes them differ, who is rejected and why."""
    groups = [
        {"label": group.signature.label, "signature": to_document(group.signature), "hosts": list(group.hosts)}
        for group in grouping.groups
    ]
    return {
        "schema": "dsdeploy.probe/1",
        "hosts": {outcome.host: to_document(outcome.value) for outcome in outcomes.items if outcome.is_ok},
        "groups": groups,
        "differences": to_document(differences(grouping.groups)),
        "rejected": to_document(grouping.rejected),
        "failures": _failures(outcomes.failed),
    }


def plan_document(plan: DeployPlan) -> Document:
    """Return `dsdeploy.plan/1`: the plan itself; `from_document(DeployPlan, …)` reads it back."""
    return dict(to_document(plan))


def verify_document(verifications: Mapping[str, Verification], failures: Sequence[Outcome[object]] = ()) -> Document:
    """Return `dsdeploy.verify/1`: each host's checks and op report, and the hosts that could not be verified.

    A check's `state` is `ran` (the numbers agree with torch's), `loaded` (and not run; `text` may say why), `failed`,
    `wrong`, `no-kernel-image`, `crashed`, `timed-out` or `absent`; its `gpu` is null where that makes no difference.
    `findings` are no failures: `jit-lock-stale`, `jit-cache-stale`, `jit-cache-stale-nfs`, `triton-cache-nfs` or
    `several-cudart` is their `kind`.
    """
    return {
        "schema": "dsdeploy.verify/1",
        "hosts": {host: _verification(verification) for host, verification in verifications.items()},
        "failures": _failures(failures),
    }


def provision_document(plan: DeployPlan, result: DeploymentResult, elapsed_s: float) -> Document:
    """Return `dsdeploy.provision/1`: the plan, and what became of it on every host.

    `fan_out` is null when no file had to go anywhere. In it `ideal_s` is how long one copy takes at the best rate that
    was seen and `ratio` what was needed against that, both null when nothing was sent; the topology's `parents` say
    from whom each host took in the end, null being the controller.

    `ends` says which distribution each host that was to change has now: `new` (committed), `old` (as before, byte for
    byte), `left` (the new one, uncommitted, for `--on-failure keep`) or `unknown` (until `dsdeploy recover`).
    `committed` lists the new ones, `changed` those left or unknown; `interrupted`: whether somebody stopped the run.
    """
    return {
        "schema": "dsdeploy.provision/1",
        "deployment": result.deployment,
        "exit_code": result.exit_code.value,
        "elapsed_s": elapsed_s,
        "plan": plan_document(plan),
        "built": to_document(result.built),
        "deliveries": to_document(result.deliveries),
        "fan_out": _fan_out(result.fan_out),
        "verifications": {host: _verification(each) for host, each in result.verifications.items()},
        "ends": to_document(result.ends),
        "committed": list(result.committed),
        "changed": [host for host, end in result.ends.items() if end in (HostEnd.LEFT, HostEnd.UNKNOWN)],
        "interrupted": result.interrupted,
        "failures": _failures(result.failures),
    }


def build_document(
    results: Sequence[WheelResult], failures: Sequence[Outcome[object]], *, elapsed_s: float, timings: str | None
) -> Document:
    """Return `dsdeploy.build/1`: what became of every signature's wheel, and everything that failed.

    A wheel's `state` is `built`, `stored`, `fetched`, `kept` or `failed`; its `sha256` and `artifact` are null where it
    is not in the store, its `failure` is null unless it failed. `timings` is the path of the page that `--timings`
    wrote. The exit code is the worst of the failures'.
    """
    return {
        "schema": "dsdeploy.build/1",
        "exit_code": worst_exit_code(outcome.failure for outcome in failures if outcome.failure).value,
        "elapsed_s": elapsed_s,
        "wheels": [_result(result) for result in results],
        "timings": timings,
        "failures": _failures(failures),
    }


def _result(result: WheelResult) -> Document:
    return {
        "label": result.signature.label,
        "signature": to_document(result.signature),
        "build_key": result.build_key,
        "hosts": list(result.hosts),
        "state": result.state.value,
        "elapsed_s": result.elapsed_s,
        "reused_ops": list(result.timings.reused) if result.timings else [],
        "sha256": result.artifact.sha256 if result.artifact else None,
        "artifact": to_document(result.artifact),
        "failure": to_document(result.failure),
        "logs": result.logs,
    }


def store_document(artifacts: Sequence[Artifact]) -> Document:
    """Return `dsdeploy.store/1`: wheels with their whole manifests."""
    return {"schema": "dsdeploy.store/1", "wheels": to_document(tuple(artifacts))}


def recipe_document(recipe: Recipe) -> Document:
    """Return `dsdeploy.recipe/1`: the recipe and the digest that goes into its build keys."""
    return {"schema": "dsdeploy.recipe/1", "recipe": to_document(recipe), "digest": recipe.digest()}


def error_document(error: DsdeployError) -> Document:
    """Return `dsdeploy.error/1`: an error that ended the whole run; its kind is the exit code's name."""
    return {
        "schema": "dsdeploy.error/1",
        "error": {
            "kind": error.exit_code.name.lower(),
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code.value,
        },
    }


def rollback_document(plan: RollbackPlan, result: DeploymentResult, elapsed_s: float) -> Document:
    """Return `dsdeploy.rollback/1`: the plan, and what became of it on every host.

    `deployment` is the rollback's own id, for it can be rolled back itself; `ends`, `committed` and `interrupted` mean
    what they mean in `dsdeploy.provision/1`.
    """
    return {
        "schema": "dsdeploy.rollback/1",
        "deployment": result.deployment,
        "exit_code": result.exit_code.value,
        "elapsed_s": elapsed_s,
        "plan": to_document(plan),
        "verifications": {host: _verification(each) for host, each in result.verifications.items()},
        "ends": to_document(result.ends),
        "committed": list(result.committed),
        "interrupted": result.interrupted,
        "failures": _failures(result.failures),
    }


def history_document(records: Sequence[DeploymentRecord], *, has_older: bool = False) -> Document:
    """Return `dsdeploy.history/1`: deployments, newest first; `has_older` when the journal knows more than are told.

    A host's `end` is as in `dsdeploy.provision/1`, and null while nothing is known of it; `is_over` says whether every
    host is known to be in one of its two states.
    """
    deployments = [{**to_document(record), "is_over": record.is_over} for record in records]
    return {"schema": "dsdeploy.history/1", "deployments": deployments, "has_older": has_older}


def status_document(status: ClusterStatus) -> Document:
    """Return `dsdeploy.status/1`: each host's state, and what differs from the last deployment to it.

    A `state` is `same`, `drifted`, `pending`, `new`, `gone`, `never-deployed` or `unknown`; `failures` say why.
    A drift's `kind` is `deepspeed`, `files`, `torch`, `gpus`, `driver` or `deployment`.
    """
    return {
        "schema": "dsdeploy.status/1",
        "exit_code": status.exit_code.value,
        "deployment": status.deployment,
        "hosts": to_document(status.hosts),
        "failures": _failures(status.failures),
    }


def recover_document(recovered: Recovered) -> Document:
    """Return `dsdeploy.recover/1`: what was pending on each host that could be asked, and which end it came to."""
    hosts = {
        host: [
            {**to_document(step), "end": recovered.end_of(host, step.pending.deployment).value}
            for step in recovered.steps.get(host, ())
        ]
        for host in recovered.ledgers
    }
    return {"schema": "dsdeploy.recover/1", "hosts": hosts, "failures": _failures(recovered.failures)}


def explain_wheel_document(
    contents: WheelContents, verdicts: Mapping[str, FitVerdict], failures: Sequence[Outcome[object]] = ()
) -> Document:
    """Return `dsdeploy.explain/1` of kind `wheel`: all that its files show, and what it is to each host.

    `hosts` is empty where none were asked; a host's `fits` says whether the wheel could be sent there, its `misfits`
    why not, its `warnings` what to know all the same. A misfit's `aspect` is what of the host it is about.
    """
    return {
        "schema": "dsdeploy.explain/1",
        "kind": "wheel",
        "wheel": to_document(contents),
        "hosts": {host: {"fits": verdict.fits, **to_document(verdict)} for host, verdict in verdicts.items()},
        "failures": _failures(failures),
    }


def _fan_out(report: FanOutReport | None) -> Document | None:
    return {**to_document(report), "ideal_s": report.ideal_s, "ratio": report.ratio} if report else None


def _verification(verification: Verification) -> Document:
    return {"is_good": verification.is_good, **to_document(verification)}


def _failures(outcomes: Sequence[Outcome[object]]) -> list[Document]:
    return [
        {"host": outcome.host, "elapsed_s": outcome.elapsed_s, **to_document(outcome.failure)}
        for outcome in outcomes
        if outcome.failure
    ]


def recipes_document(recipes: Sequence[tuple[str, str, str]]) -> Document:
    """Return `dsdeploy.recipes/1`: name, summary and path of each recipe that can be chosen by name."""
    rows = [{"name": name, "summary": summary, "path": path} for name, summary, path in recipes]
    return {"schema": "dsdeploy.recipes/1", "recipes": rows}


def findings_document(findings: Sequence[tuple[str, str, str | None]]) -> Document:
    """Return `dsdeploy.findings/1`: path, problem and hint of what is wrong in the store."""
    rows = [{"path": path, "problem": problem, "hint": hint} for path, problem, hint in findings]
    return {"schema": "dsdeploy.findings/1", "findings": rows}
