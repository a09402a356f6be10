"""Decides for every op whether it goes into a wheel, and says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.facts import Facts
from orchestrator.model.ops import Need, OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe, SourceKind
from orchestrator.model.signature import Accelerator, Signature
from orchestrator.model.wheels import Manifest

_NEWEST = "9999"


def ops_of(catalogue: Sequence[OpSpec], accelerator: Accelerator, recipe: Recipe) -> tuple[OpSpec, ...]:
    """Return the ops of the recipe's DeepSpeed on one accelerator; a git tree or folder counts as the newest."""
    is_released = recipe.source.kind is SourceKind.VERSION
    version = recipe.source.value if is_released else _NEWEST
    return tuple(spec for spec in catalogue if spec.accelerator is accelerator and spec.exists_in(version))


def decide_ops(
    catalogue: Sequence[OpSpec], recipe: Recipe, signature: Signature, builder: Facts
) -> tuple[OpDecision, ...]:
    """Return one decision per op of that DeepSpeed and accelerator, in catalogue order.

    Names of the recipe that are no such op follow. `builder` is the machine that compiles.
    A required op that would be skipped is refused.
    """
    specs = {spec.name: spec for spec in ops_of(catalogue, signature.accelerator, recipe)}
    circumstances = _Circumstances(specs=specs, recipe=recipe, builder=builder)
    asked = [name for name in dict.fromkeys((*recipe.wanted, *recipe.required)) if name not in specs]
    unknown = [_decide_unknown(name, catalogue, recipe, signature) for name in asked]
    return (*(circumstances.decide(spec) for spec in specs.values()), *unknown)


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
class _Circumstances:
    """All that the decision on one op depends on."""

    specs: Mapping[str, OpSpec]
    recipe: Recipe
    builder: Facts

    def decide(self, spec: OpSpec) -> OpDecision:
        obstacle = self._obstacle(spec)
        dependents = ", ".join(self._dependents(spec))
        if obstacle is None and not self._is_wanted(spec) and not dependents:
            obstacle = "not wanted by the recipe"
        if obstacle is not None:
            verdict, reason = _verdict_without(spec.name, self.recipe), obstacle
        else:
            verdict, reason = OpVerdict.BUILD, "" if self._is_wanted(spec) else f"needed by {dependents}"
        return OpDecision(op=spec.name, build_variable=spec.build_variable, verdict=verdict, reason=reason)

    def _is_wanted(self, spec: OpSpec) -> bool:
        return not self.recipe.wanted or spec.name in (*self.recipe.wanted, *self.recipe.required)

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
        own = spec.never or self._switched_off(spec) or self._missing_need(spec)
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

    def _missing_need(self, spec: OpSpec) -> str | None:
        for need in spec.needs:
            match need:
                case Need.LIBAIO if not self.builder.has_libaio:
                    return "libaio's headers are missing on the builder: apt install libaio-dev"
                case Need.ONECCL if not self.recipe.environment.get("CCL_ROOT"):
                    return "needs oneCCL, and the recipe's environment has no CCL_ROOT"
                case Need.NVCC if not (self.builder.nvcc and self.builder.nvcc.is_working):
                    return "the builder has no working nvcc"
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
