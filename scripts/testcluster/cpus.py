"""Lets a host play an older CPU: its /proc/cpuinfo names fewer instructions than the machine has."""

from __future__ import annotations

import re

from testcluster.errors import ClusterError

_LACKING = {"avx2": r"avx512\w*", "sse4": r"avx\w*|f16c|fma"}
"""CPU → the flags of /proc/cpuinfo that it lacks."""
_FLAGS = re.compile(r"^(flags\s*:)(.*)$", re.MULTILINE)


def check_cpu(cpu: str) -> None:
    """Raise ClusterError when no host can play this CPU."""
    if cpu not in _LACKING:
        raise ClusterError(f"there is no CPU {cpu} to play", hint=f"there are: {', '.join(_LACKING)}")


def make_cpuinfo(real: str, cpu: str) -> str:
    """Return the text of /proc/cpuinfo as a machine with this CPU would show it; `real` is this machine's own."""
    lacking = re.compile(_LACKING[cpu])

    def without(line: re.Match[str]) -> str:
        kept = [flag for flag in line[2].split() if not lacking.fullmatch(flag)]
        return " ".join([line[1], *kept])

    return _FLAGS.sub(without, real)
