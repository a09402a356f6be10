"""Decides whether a host keeps what it has, and says why not."""

from __future__ import annotations

from orchestrator.model.deployment import Stamp
from orchestrator.model.facts import Facts
from orchestrator.model.wheels import BuildKey


def find_drift(facts: Facts, key: BuildKey, sha256: str | None) -> str | None:
    """Return why the host must get the wheel; None when it keeps what it has.

    `sha256` is the wheel's digest, None when it must be built first: then no host keeps.
    """
    stamp = facts.stamp
    deepspeed = facts.interpreter and facts.interpreter.deepspeed
    if deepspeed is None:
        return "DeepSpeed is not installed"
    if stamp is None:
        return f"DeepSpeed {deepspeed.version} was installed by something else"
    return _find_damage(facts, stamp) or _find_change(stamp, key, sha256)


def _find_damage(facts: Facts, stamp: Stamp) -> str | None:
    interpreter = facts.interpreter
    assert interpreter is not None
    deepspeed, torch = interpreter.deepspeed, interpreter.torch
    if deepspeed is None or (deepspeed.version, deepspeed.record_sha256) != (stamp.version, stamp.record_sha256):
        return f"DeepSpeed was replaced since deployment {stamp.deployment}"
    if torch is None or torch.version != stamp.torch_version:
        now = torch.version if torch else "missing"
        return f"torch was {stamp.torch_version} at deployment {stamp.deployment} and is {now}"
    return None


def _find_change(stamp: Stamp, key: BuildKey, sha256: str | None) -> str | None:
    if stamp.build_key != key:
        return f"the recipe, or what the hosts share, changed since deployment {stamp.deployment}"
    if stamp.wheel_sha256 != sha256:
        return f"the wheel was built again since deployment {stamp.deployment}"
    return None
