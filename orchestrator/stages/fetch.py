"""Take a wheel that exists: from the store, or from a host that still holds it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.model.facts import Facts
from orchestrator.model.plan import WheelPlan
from orchestrator.model.wheels import Artifact, make_wheel_filename
from orchestrator.ports import Fleet, Store
from orchestrator.store.wheel_files import read_artifact


def take_from_store(wheel: WheelPlan, store: Store) -> Artifact:
    """Return the wheel that the plan says the store holds. Raises StoreError when it does not."""
    assert wheel.sha256 is not None  # the plan's rule for a wheel that exists
    artifact = store.get(wheel.sha256)
    if artifact is None:
        raise StoreError(
            f"the store does not hold {wheel.sha256[:12]}",
            hint="make a new plan; `dsdeploy provision --force` builds it again whatever the hosts have",
        )
    return artifact


def take_from_host(wheel: WheelPlan, facts: Mapping[str, Facts], *, fleet: Fleet, store: Store, work: Path) -> Artifact:
    """Copy the wheel back from a host that holds it; the store checks it like any other. Raises StoreError."""
    holder, version = _find_holder(wheel, facts)
    filename = make_wheel_filename(version, wheel.signature)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        copy = Path(folder, filename)
        fleet.remote(holder).get(f"cache:wheels/{wheel.sha256}/{filename}", copy)
        return store.add(copy, read_artifact(copy).manifest)


def _find_holder(wheel: WheelPlan, facts: Mapping[str, Facts]) -> tuple[str, str]:
    """Return a host that holds the wheel, and the wheel's version; a cache may be gone since a saved plan was made."""
    for host in wheel.hosts:
        stamp = facts[host].stamp
        if stamp and stamp.wheel_sha256 == wheel.sha256 and wheel.sha256 in facts[host].cached_wheels:
            return host, stamp.version
    raise StoreError(f"no host holds {(wheel.sha256 or '')[:12]} any more", hint="make a new plan")
