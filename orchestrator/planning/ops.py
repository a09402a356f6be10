"""Decides for every op whether it goes into a wheel, and says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.facts import Facts
from orchestrator.model.ops import OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator, Signature
from orchestrator.model.toolchain import Toolchain
from orchestrator.model.wheels import Manifest
from orchestrator.planning.op_needs import Circumstances, archs_of_op, deepspeed_version, find_obstacle


def ops_of(catalogue: Sequence[OpSpec], accelerator: Accelerator, recipe: Recipe) -> tuple[OpSpec, ...]:
    """Return the ops of the recipe's DeepSpeed on one accelerator; a git tree or folder counts as the newest."""
    version = deepspeed_version(recipe)
    return tuple(spec for spec in catalogue if spec.accelerator is accelerator and spec.exists_in(version))


def decide_ops(
    catalogue: Sequence[OpSpec], recipe: Recipe, signature: Signature, builder: Facts, toolchain: Toolchain
) -> tuple[OpDecision, ...]:
    """Return one decision per op of that DeepSpeed and accelerator, in catalogue order.

    Names of the recipe that are no such op follow. `builder` is the machine that compiles, `toolchain` what with.
    A required op that would be skipped is refused.
    """
    specs = {spec.name: spec for spec in ops_of(catalogue, signature.accelerator, recipe)}
    given = Circumstances(recipe=recipe, signature=signature, builder=builder, toolchain=toolchain)
    choice = _Choice(specs=specs, recipe=recipe, given=given)
    asked = [name for name in dict.fromkeys((*recipe.wanted, *recipe.required)) if name not in specs]
    unknown = [_decide_unknown(name, catalogue, recipe, signature) for name in asked]
    return (*(choice.decide(spec) for spec in specs.values()), *unknown)


def build_packages(decisions: Sequence[OpDecision], specs: Sequence[OpSpec]) -> tuple[str, ...]:
    """Return the requirements (PEP 508) that the ops to build need in the build environment, sorted."""
    return tuple(sorted({package for spec in _built(decisions, specs) for package in spec.build_packages}))


def host_packages(decisions: Sequence[OpDecision], specs: Sequence[OpSpec]) -> tuple[str, ...]:
    """Return the requirements (PEP 508) that the ops to build bring to every host, sorted."""
    return tuple(sorted({package for spec in _built(decisions, specs) for package in spec.host_packages}))


def _built(decisions: Sequence[OpDecision], specs: Sequence[OpSpec]) -> list[OpSpec]:
    names = {decision.op for decision in decisions if decision.verdict is OpVerdict.BUILD}
    return [spec for spec in specs if spec.name in names]


def ops_in_wheel(manifest: Manifest, catalogue: Sequence[OpSpec]) -> tuple[OpDecision, ...]:
    """Return what a built wheel says of its ops."""
    variables = {spec.name: spec.build_variable for spec in catalogue}
    return tuple(
        OpDecision(
            op=op.name,
            build_variable=variables.get(op.name, ""),
            verdict=OpVerdict.REUSE if op.is_built else OpVerdict.SKIP,
            reason=op.reason,
        )
        for op in manifest.ops
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """All that the decision on one op depends on."""

    specs: Mapping[str, OpSpec]
    recipe: Recipe
    given: Circumstances

    def decide(self, spec: OpSpec) -> OpDecision:
        obstacle = self._obstacle(spec)
        dependents = ", ".join(self._dependents(spec))
        if obstacle is None and not self._is_wanted(spec) and not dependents:
            obstacle = self._not_wanted(spec)
        if obstacle is not None:
            verdict, reason = _verdict_without(spec.name, self.recipe), obstacle
        else:
            verdict, reason = OpVerdict.BUILD, self._remark(spec, dependents)
        return OpDecision(op=spec.name, build_variable=spec.build_variable, verdict=verdict, reason=reason)

    def _is_wanted(self, spec: OpSpec) -> bool:
        is_named = spec.name in (*self.recipe.wanted, *self.recipe.required)
        return is_named or not (self.recipe.wanted or spec.host_packages)

    def _not_wanted(self, spec: OpSpec) -> str:
        packages = ", ".join(spec.host_packages)
        if self.recipe.wanted or not packages:
            return "not wanted by the recipe"
        return f"every host would need {packages}: it is built when the recipe names it"

    def _remark(self, spec: OpSpec, dependents: str) -> str:
        """Say what is particular about an op that is built."""
        remarks = [] if self._is_wanted(spec) else [f"needed by {dependents}"]
        archs = self.given.signature.gpu_archs
        served = archs_of_op(spec, archs)
        if served != archs:
            remarks.append(f"for {', '.join(served)} only: it needs {spec.min_arch} or newer")
        return "; ".join(remarks)

    def _dependents(self, spec: OpSpec) -> list[str]:
        """Names of the ops that are built and need this one."""
        return [
            other.name
            for other in self.specs.values()
            if spec.name in other.depends_on
            and self._obstacle(other) is None
            and (self._is_wanted(other) or self._dependents(other))
        ]

    def _obstacle(self, spec: OpSpec) -> str | None:
        own = spec.never or self._switched_off(spec) or find_obstacle(spec, self.given)
        return own or self._missing_dependency(spec)

    def _switched_off(self, spec: OpSpec) -> str | None:
        if spec.name in self.recipe.off:
            return "off in the recipe"
        # As DeepSpeed's setup.py, op_enabled(): an op's own switch beats DS_BUILD_OPS.
        environment = self.recipe.environment
        for variable in (spec.build_variable, "DS_BUILD_OPS"):
            if variable in environment:
                is_off = environment[variable].strip() == "0"
                return f"{variable}=0 in the recipe's environment" if is_off else None
        return None

    def _missing_dependency(self, spec: OpSpec) -> str | None:
        for name in spec.depends_on:
            # An older DeepSpeed may lack it as an op of its own: then it is part of this one.
            dependency = self.specs.get(name)
            obstacle = dependency and self._obstacle(dependency)
            if obstacle:
                return f"needs {name}: {obstacle}"
        return None


def _verdict_without(name: str, recipe: Recipe) -> OpVerdict:
    return OpVerdict.REFUSE if name in recipe.required else OpVerdict.SKIP


def _decide_unknown(name: str, catalogue: Sequence[OpSpec], recipe: Recipe, signature: Signature) -> OpDecision:
    variable = next((spec.build_variable for spec in catalogue if spec.name == name), "")
    reason = f"DeepSpeed {recipe.source.value} has no such op on {signature.accelerator.value}"
    return OpDecision(op=name, build_variable=variable, verdict=_verdict_without(name, recipe), reason=reason)
