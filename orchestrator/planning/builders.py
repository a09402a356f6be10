"""Chooses the machine that builds a group's wheel, and with it the toolchain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packaging.version import Version

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.model.plan import Builder
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.grouping import Group
from orchestrator.planning.lacks import Lacks
from orchestrator.planning.toolchains import choose_toolchain

AUTO = "auto"
CONTROLLER = "controller"


def choose_builder(
    group: Group, facts: Mapping[str, Facts], recipe: Recipe, *, wish: str, controller: Callable[[str], Facts]
) -> Builder:
    """Return who builds for the group, and with what; `wish` is `auto`, `controller`, or a host's name.

    `auto` prefers a host of the group that has a toolchain of its own and whose glibc and libstdc++ are the group's
    floor, so that the wheel runs on all; then the controller if its own are not above the floor; then the least of the
    other hosts (the audit has the last word on such a wheel). Raises PlanError with what every candidate lacks.
    """
    if wish == AUTO:
        return _choose_any(group, facts, recipe, controller)
    if wish == CONTROLLER:
        return _take_controller(group.signature, recipe, controller(group.signature.python_tag))
    return _take_host(wish, group, facts, recipe)


def _choose_any(
    group: Group, facts: Mapping[str, Facts], recipe: Recipe, controller: Callable[[str], Facts]
) -> Builder:
    signature = group.signature
    found = {host: choose_toolchain(facts[host], signature, recipe, is_controller=False) for host in group.hosts}
    able = [(host, toolchain) for host, toolchain in found.items() if isinstance(toolchain, Toolchain)]
    able.sort(key=lambda item: _rank(facts[item[0]], item[1]))
    for host, toolchain in able:
        if toolchain.kind is ToolchainKind.HOST and _fits_floor(facts[host], signature):
            return _make_builder(host, toolchain, "a host of the group with a complete toolchain")
    of_controller = _choose_on_controller(signature, recipe, controller(signature.python_tag))
    if isinstance(of_controller, Toolchain):
        return _make_builder(None, of_controller, "no suitable host of the group has a complete toolchain")
    if not able:
        told = {host: lacks for host, lacks in found.items() if isinstance(lacks, Lacks)}
        raise _nobody(group, told, of_controller)
    host, toolchain = able[0]
    although = _although(facts[host], signature)
    return _make_builder(host, toolchain, f"the best host with a complete toolchain{although}")


def _take_controller(signature: Signature, recipe: Recipe, controller: Facts) -> Builder:
    found = _choose_on_controller(signature, recipe, controller)
    if isinstance(found, Lacks):
        raise PlanError(
            f"the controller cannot build {signature.label}: {'; '.join(found.reasons)}",
            hint="let a host of the group build it: --builder auto",
        )
    return _make_builder(None, found, "asked for with --builder")


def _take_host(host: str, group: Group, facts: Mapping[str, Facts], recipe: Recipe) -> Builder:
    signature = group.signature
    if host not in facts:
        raise PlanError(
            f"--builder {host}: no such host was probed",
            hint=f"take one of {fold_hosts(facts)}, or: auto, controller",
        )
    found = choose_toolchain(facts[host], signature, recipe, is_controller=False)
    lacks = (*(found.reasons if isinstance(found, Lacks) else ()), *_torch_lacks(facts[host], signature))
    if isinstance(found, Lacks) or lacks:
        raise PlanError(
            f"{host} cannot build {signature.label} for {fold_hosts(group.hosts)}: {'; '.join(lacks)}",
            hint="choose another host, or let dsdeploy choose: --builder auto",
        )
    return _make_builder(host, found, f"asked for with --builder{_although(facts[host], signature)}")


def _make_builder(host: str | None, toolchain: Toolchain, reason: str) -> Builder:
    return Builder(host=host, reason=reason, toolchain=toolchain)


def _rank(facts: Facts, toolchain: Toolchain) -> tuple[Version, Version, bool, bool, int, int]:
    """Sort key, best first; nothing in it drifts by itself, so that the same hosts give the same builder."""
    system = facts.system
    libraries = Version(system.glibc or "0"), Version(system.glibcxx or "0")
    is_fetched = toolchain.kind is ToolchainKind.WHEELS
    return (*libraries, is_fetched, not facts.has_libaio, -system.cpu_cores, -system.memory_bytes)


def _fits_floor(machine: Facts, signature: Signature) -> bool:
    system = machine.system
    if system.glibc is None or system.glibcxx is None:
        return False
    glibc_fits = Version(system.glibc) <= Version(signature.glibc)
    return glibc_fits and Version(system.glibcxx) <= Version(signature.glibcxx)


def _choose_on_controller(signature: Signature, recipe: Recipe, controller: Facts) -> Toolchain | Lacks:
    found = choose_toolchain(controller, signature, recipe, is_controller=True)
    if _fits_floor(controller, signature):
        return found
    others = found.reasons if isinstance(found, Lacks) else ()
    return Lacks(reasons=(*others, _above_floor(controller, signature)))


def _although(machine: Facts, signature: Signature) -> str:
    return "" if _fits_floor(machine, signature) else f", although {_above_floor(machine, signature)}"


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


def _nobody(group: Group, found: Mapping[str, Lacks], of_controller: Lacks) -> PlanError:
    hosts_by_lacks: dict[Lacks, list[str]] = {}
    for host, lacks in found.items():
        hosts_by_lacks.setdefault(lacks, []).append(host)
    candidates = [(fold_hosts(hosts), lacks) for lacks, hosts in hosts_by_lacks.items()]
    lines = [f"{who}: {'; '.join(lacks.reasons)}" for who, lacks in (*candidates, (CONTROLLER, of_controller))]
    return PlanError(
        "\n  ".join([f"nobody can build {group.signature.label} for {fold_hosts(group.hosts)}:", *lines]),
        hint="complete the toolchain of one of them; hosts that only receive need none",
    )
