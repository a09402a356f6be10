"""A recipe's ops: the lists `want`, `require`, `skip`, and DeepSpeed's `DS_BUILD_*` switches, which must agree.

A switch in `env` is another way to write the lists: `DS_BUILD_X: 0` skips an op, `DS_BUILD_X: 1` wants it, and
`DS_BUILD_OPS: 0` wants only what is named. Read, they are lists: one truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config.faults import Faults
from orchestrator.config.names import quoted
from orchestrator.config.suggestion import did_you_mean
from orchestrator.config.yaml_sections import Section, Word
from orchestrator.model.ops import OpSpec

OP_KEYS = ("want", "require", "skip")
_ALL_OPS = "DS_BUILD_OPS"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpLists:
    """What a recipe says of ops, as Recipe holds it."""

    wanted: tuple[str, ...]
    required: tuple[str, ...]
    off: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOps:
    """The ops that a recipe may name."""

    catalogue: Sequence[OpSpec]
    here: Sequence[OpSpec]
    """Those of the recipe's DeepSpeed and accelerator, as far as it says which."""
    place: str
    """What `here` is, for messages: `DeepSpeed 0.19.8 on cpu`."""

    def fault_of_name(self, name: str) -> str | None:
        """Return why no op may be called this."""
        names = {spec.name for spec in self.catalogue}
        return None if name in names else f"no op is called {quoted(name)}{did_you_mean(name, names)}"

    def fault_of_asking(self, name: str) -> str | None:
        """Return why this op may not be asked for."""
        specs = [spec for spec in self.here if spec.name == name]
        if not specs:
            return f"{self.place} has no op {name}"
        obstacles = [spec.never for spec in specs]
        return f"{name} can never be built: {obstacles[0]}" if all(obstacles) else None

    def dependencies_of(self, name: str) -> set[str]:
        """Return the ops that must be in the wheel with this one."""
        return {needed for spec in self.here if spec.name == name for needed in spec.depends_on}


def read_op_lists(ops: Section | None, switches: Mapping[str, Word], known: KnownOps, faults: Faults) -> OpLists:
    """Return the lists of the section `ops` with the switches of `env` folded in."""
    want, require, skip = (_named_ops(ops, key, known, faults) for key in OP_KEYS)
    by_op = _switched_ops(switches, known, faults)
    switched_on = {name: word for name, word in by_op.items() if word.text == "1"}
    switched_off = {name: word for name, word in by_op.items() if word.text == "0"}
    _check_agreement({**switched_on, **want, **require}, {**switched_off, **skip}, known, faults)
    wants_all = _wants_all(switches.get(_ALL_OPS), {**want, **switched_on, **require}, faults, has_list=bool(want))
    return OpLists(
        wanted=() if wants_all else tuple({**want, **switched_on} or require),
        required=tuple(require),
        off=tuple({**skip, **switched_off}),
    )


def is_op_switch(variable: str) -> bool:
    """Whether an environment variable is one of DeepSpeed's switches that choose ops."""
    return variable.startswith("DS_BUILD_") and variable != "DS_BUILD_STRING"


def _named_ops(ops: Section | None, key: str, known: KnownOps, faults: Faults) -> dict[str, Word]:
    named: dict[str, Word] = {}
    for word in ops.words(key) if ops else ():
        fault = known.fault_of_name(word.text)
        if not fault and key != "skip":
            fault = known.fault_of_asking(word.text)
        if not fault and word.text in named:
            fault = f"{word.text} is there twice"
        if fault:
            word.complain(faults, fault)
        else:
            named[word.text] = word
    return named


def _switched_ops(switches: Mapping[str, Word], known: KnownOps, faults: Faults) -> dict[str, Word]:
    names = {spec.build_variable: spec.name for spec in known.catalogue}
    switched: dict[str, Word] = {}
    for variable, word in switches.items():
        if variable != _ALL_OPS and variable not in names:
            word.complain(faults, f"DeepSpeed has no such switch{did_you_mean(variable, [*names, _ALL_OPS])}")
        elif word.text not in ("0", "1"):
            word.complain(faults, f"0 or 1 is meant, not {quoted(word.text)}")
        elif variable != _ALL_OPS:
            fault = known.fault_of_asking(names[variable]) if word.text == "1" else None
            if fault:
                word.complain(faults, fault)
            else:
                switched[names[variable]] = word
    return switched


def _check_agreement(asked: Mapping[str, Word], refused: Mapping[str, Word], known: KnownOps, faults: Faults) -> None:
    for name, word in asked.items():
        for needed in sorted({name} | known.dependencies_of(name)):
            if needed in refused:
                why = "" if needed == name else f", which {name} needs"
                no = refused[needed]
                word.complain(faults, f"asks for {needed}{why}; {no.path} (line {no.line}) says no")


def _wants_all(switch: Word | None, asked: Mapping[str, Word], faults: Faults, *, has_list: bool) -> bool:
    """Whether every op is wanted: unless the recipe lists what it wants."""
    if switch is not None and switch.text == "1" and has_list:
        switch.complain(faults, "asks for every op; ops.want asks for some")
    if switch is not None and switch.text == "0" and not asked:
        switch.complain(faults, "leaves no op to build: name some in ops.want")
    return not has_list and (switch is None or switch.text != "0")
