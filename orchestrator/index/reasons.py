"""Reads out of pip's output why it failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.errors import TransferError
from orchestrator.index.stand_ins import NEVER_CONSTRAINT, NEVER_FETCHED

MISSING = re.compile(r"(?:Could not find a version that satisfies the requirement|No matching .* found for) (\S+)")
UNREACHED = re.compile(r"after connection broken by '(?:.*[)>]: )?(.*?)[\"']?\)?': \S+$")
FROM_VERSIONS = re.compile(r"from versions: .*?((?:[^,()]+, ){2}[^,()]+)\)")
CONSTRAINT = re.compile(r"The user requested \(constraint\) ([\w.-]+).*")


def error_of(
    lines: Sequence[str], *, wanted: str, hint: str, installed: Mapping[str, str] | None = None
) -> TransferError:
    """Return pip's failure as ours.

    `wanted` is what there is none of when pip finds nothing (`wheel for cp311, x86_64`), and `hint` what to do then;
    `installed` (name → version) is what the constraints stood for.
    """
    errors = [_shortened(line) for line in lines if line.startswith("ERROR: ") and "Ignored the following" not in line]
    first = errors[0] if errors else next((line for line in reversed(lines) if line), "it said nothing")
    if any(NEVER_CONSTRAINT in line for line in lines):
        return TransferError(
            f"{NEVER_FETCHED} is needed and the host has none",
            hint=f"install {NEVER_FETCHED} into the target interpreter first: dsdeploy never brings it",
        )
    if causes := tuple(_conflict_in(lines, installed or {})):
        return TransferError(
            f"the host's packages do not allow it: {'; '.join(causes)}",
            hint="change the named package on the host, or give DeepSpeed an environment of its own (`python=`)",
        )
    if broken := _first(UNREACHED, lines):
        return TransferError(
            f"the package index could not be reached: {broken}",
            hint="check the network, the proxy (HTTPS_PROXY), and what `pip config list` says",
        )
    if missing := _first(MISSING, errors):
        return TransferError(f"the package index has no {wanted} of {missing}: pip says {first!r}", hint=hint)
    return TransferError(f"pip failed: {first}", hint="`--debug` shows all of its output")


def _conflict_in(lines: Iterable[str], installed: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines between `The conflict is caused by:` and the next empty one, in the host's terms."""
    is_inside = False
    for line in lines:
        is_inside = line.startswith("The conflict is caused by:") or (is_inside and bool(line))
        if is_inside and (match := CONSTRAINT.search(line)):
            yield f"the host has {match[1]} {installed.get(match[1], '')}".rstrip()
        elif is_inside and not line.startswith("The conflict"):
            yield line.strip().replace("The user requested", "DeepSpeed or its build needs")


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str | None:
    return next((match[1] for line in lines if (match := pattern.search(line))), None)


def _shortened(line: str) -> str:
    return FROM_VERSIONS.sub(r"from versions: …,\1)", line).removeprefix("ERROR: ")
