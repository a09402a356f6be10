"""Decides whether a host still has what was deployed to it, and whether it keeps that; says why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.model.deployment import HostLedger, Pending, Stamp
from orchestrator.model.facts import Facts, Interpreter
from orchestrator.model.status import Condition, Drift, DriftKind
from orchestrator.model.wheels import BuildKey

_NAMED = 3


def find_drift(facts: Facts, key: BuildKey, sha256: str | None) -> str | None:
    """Return why the host must get the wheel; None when it keeps what it has.

    `sha256` is the wheel's digest, None when it must be built first: then no host keeps.
    """
    interpreter = facts.interpreter
    if facts.pending is not None:
        return describe_pending(facts.pending)
    if interpreter is None or interpreter.deepspeed is None:
        return "DeepSpeed is not installed"
    if facts.stamp is None:
        return f"DeepSpeed {interpreter.deepspeed.version} was installed by something else"
    damage = find_damage(facts.stamp, _condition_of(facts, interpreter))
    return "; ".join(drift.text for drift in damage) or _find_change(facts.stamp, key, sha256)


def find_damage(stamp: Stamp, condition: Condition) -> tuple[Drift, ...]:
    """Return what changed on a host since the deployment that left this stamp, in the order of weight."""
    return (
        *_deepspeed_drifts(stamp, condition),
        *_torch_drifts(stamp, condition),
        *_gpu_drifts(stamp, condition),
    )


def describe_pending(pending: Pending) -> str:
    """Say for people what has not ended on a host."""
    return f"deployment {pending.deployment} of {pending.author} has not ended here: {pending.state.value}"


def _condition_of(facts: Facts, interpreter: Interpreter) -> Condition:
    """Return what a probe found in the shape of what `status` asks for."""
    return Condition(
        python=interpreter.executable,
        ledger=HostLedger(prefix=interpreter.prefix, stamp=facts.stamp, pending=facts.pending, kept=facts.kept),
        deepspeed=interpreter.deepspeed,
        torch_version=interpreter.torch.version if interpreter.torch else None,
        gpus=tuple(gpu.name for gpu in facts.gpus),
        driver=next((gpu.driver for gpu in facts.gpus), None),
        edited_files=facts.edited_files,
        edited_count=len(facts.edited_files),
    )


def _deepspeed_drifts(stamp: Stamp, condition: Condition) -> Iterator[Drift]:
    deepspeed = condition.deepspeed
    since = f"since deployment {stamp.deployment}"
    if deepspeed is None:
        yield Drift(kind=DriftKind.DEEPSPEED, text=f"DeepSpeed {stamp.version} was removed {since}")
    elif deepspeed.version != stamp.version:
        text = f"DeepSpeed was replaced {since}: it was {stamp.version} and is {deepspeed.version}"
        yield Drift(kind=DriftKind.DEEPSPEED, text=text)
    elif deepspeed.record_sha256 != stamp.record_sha256:
        text = f"DeepSpeed was replaced {since}: the RECORD of {stamp.version} is another one"
        yield Drift(kind=DriftKind.DEEPSPEED, text=text)
    elif condition.edited_files:
        names = _name_some(condition.edited_files, condition.edited_count)
        yield Drift(kind=DriftKind.FILES, text=f"files were edited {since}: {names}")


def _torch_drifts(stamp: Stamp, condition: Condition) -> Iterator[Drift]:
    now = condition.torch_version or "missing"
    if now != stamp.torch_version:
        text = f"torch was {stamp.torch_version} at deployment {stamp.deployment} and is {now}"
        yield Drift(kind=DriftKind.TORCH, text=text)


def _gpu_drifts(stamp: Stamp, condition: Condition) -> Iterator[Drift]:
    """Say nothing where the stamp names no GPUs: there were none, or an older dsdeploy left it."""
    if not stamp.gpus:
        return
    then = f"at deployment {stamp.deployment}"
    if Counter(condition.gpus) != Counter(stamp.gpus):
        text = f"GPUs were {_count(stamp.gpus)} {then} and are {_count(condition.gpus)}"
        yield Drift(kind=DriftKind.GPUS, text="; ".join([text, *condition.notes]))
    if stamp.driver and condition.driver and condition.driver != stamp.driver:
        text = f"the driver was {stamp.driver} {then} and is {condition.driver}"
        yield Drift(kind=DriftKind.DRIVER, text=text)


def _count(names: Sequence[str]) -> str:
    return ", ".join(f"{number} x {name}" for name, number in Counter(names).items()) or "none"


def _name_some(names: Sequence[str], count: int) -> str:
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _find_change(stamp: Stamp, key: BuildKey, sha256: str | None) -> str | None:
    if stamp.build_key != key:
        return f"the recipe, or what the hosts share, changed since deployment {stamp.deployment}"
    if stamp.wheel_sha256 != sha256:
        return f"the wheel was built again since deployment {stamp.deployment}"
    return None
