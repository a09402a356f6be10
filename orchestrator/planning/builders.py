"""Chooses the machine that builds a group's wheel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.version import Version

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.model.plan import Builder
from orchestrator.model.signature import Signature
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.grouping import Group
from orchestrator.planning.toolchains import find_lacks

AUTO = "auto"
CONTROLLER = "controller"


def choose_builder(group: Group, facts: Mapping[str, Facts], *, wish: str, controller: Callable[[], Facts]) -> Builder:
    """Return who builds for the group; `wish` is `auto`, `controller`, or a host's name.

    `auto` prefers a host of the group whose glibc and libstdc++ are the group's floor, so that the wheel runs on all;
    then the controller if its own are not above the floor; then the least of the other hosts (the audit has the last
    word on such a wheel). Raises PlanError with what every candidate lacks.
    """
    if wish == AUTO:
        return _choose_any(group, facts, controller)
    if wish == CONTROLLER:
        return _take_controller(group.signature, controller())
    return _take_host(wish, group, facts)


def _choose_any(group: Group, facts: Mapping[str, Facts], controller: Callable[[], Facts]) -> Builder:
    signature = group.signature
    able = [host for host in group.hosts if not find_lacks(facts[host], signature)]
    able.sort(key=lambda host: _rank(facts[host]))
    at_floor = [host for host in able if _fits_floor(facts[host], signature)]
    if at_floor:
        return Builder(host=at_floor[0], reason="a host of the group with a complete toolchain")
    controller_lacks = _controller_lacks(controller(), signature)
    if not controller_lacks:
        return Builder(host=None, reason="no suitable host of the group has a complete toolchain")
    if able:
        above = _above_floor(facts[able[0]], signature)
        return Builder(host=able[0], reason=f"the best host with a complete toolchain, although {above}")
    raise _nobody(group, facts, controller_lacks)


def _take_controller(signature: Signature, controller: Facts) -> Builder:
    lacks = _controller_lacks(controller, signature)
    if lacks:
        raise PlanError(
            f"the controller cannot build {signature.label}: {'; '.join(lacks)}",
            hint="let a host of the group build it: --builder auto",
        )
    return Builder(host=None, reason="asked for with --builder")


def _take_host(host: str, group: Group, facts: Mapping[str, Facts]) -> Builder:
    signature = group.signature
    if host not in facts:
        raise PlanError(
            f"--builder {host}: no such host was probed",
            hint=f"take one of {fold_hosts(facts)}, or: auto, controller",
        )
    lacks = (*find_lacks(facts[host], signature), *_torch_lacks(facts[host], signature))
    if lacks:
        raise PlanError(
            f"{host} cannot build {signature.label} for {fold_hosts(group.hosts)}: {'; '.join(lacks)}",
            hint="choose another host, or let dsdeploy choose: --builder auto",
        )
    above = "" if _fits_floor(facts[host], signature) else f", although {_above_floor(facts[host], signature)}"
    return Builder(host=host, reason=f"asked for with --builder{above}")


def _rank(facts: Facts) -> tuple[Version, Version, bool, int, int]:
    """Sort key, best first; nothing in it drifts by itself, so that the same hosts give the same builder."""
    system = facts.system
    libraries = Version(system.glibc or "0"), Version(system.glibcxx or "0")
    return (*libraries, not facts.has_libaio, -system.cpu_cores, -system.memory_bytes)


def _fits_floor(machine: Facts, signature: Signature) -> bool:
    system = machine.system
    if system.glibc is None or system.glibcxx is None:
        return False
    glibc_fits = Version(system.glibc) <= Version(signature.glibc)
    return glibc_fits and Version(system.glibcxx) <= Version(signature.glibcxx)


def _controller_lacks(controller: Facts, signature: Signature) -> tuple[str, ...]:
    lacks = find_lacks(controller, signature)
    if _fits_floor(controller, signature):
        return lacks
    return (*lacks, _above_floor(controller, signature))


def _above_floor(machine: Facts, signature: Signature) -> str:
    system = machine.system
    found = f"its glibc {system.glibc} and GLIBCXX {system.glibcxx}"
    return f"{found} are not both within the group's floor of {signature.glibc} and {signature.glibcxx}"


def _torch_lacks(machine: Facts, signature: Signature) -> list[str]:
    torch = machine.interpreter.torch if machine.interpreter else None
    if torch is None:
        return ["it has no torch"]
    wanted = (signature.torch_version, signature.torch_cuda, signature.torch_hip, signature.cxx11_abi)
    if (torch.version, torch.cuda, torch.hip, torch.cxx11_abi) != wanted:
        return [f"its torch {torch.version} is another build than {signature.torch_version}"]
    return []


def _nobody(group: Group, facts: Mapping[str, Facts], controller_lacks: Sequence[str]) -> PlanError:
    hosts_by_lacks: dict[str, list[str]] = {}
    for host in group.hosts:
        hosts_by_lacks.setdefault("; ".join(find_lacks(facts[host], group.signature)), []).append(host)
    lines = [f"{fold_hosts(hosts)}: {lacks}" for lacks, hosts in hosts_by_lacks.items()]
    lines.append(f"{CONTROLLER}: {'; '.join(controller_lacks)}")
    return PlanError(
        "\n  ".join([f"nobody can build {group.signature.label} for {fold_hosts(group.hosts)}:", *lines]),
        hint="complete the toolchain of one of them; hosts that only receive need none",
    )
