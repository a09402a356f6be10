"""Which wheels a host can use, in pip's words."""

from __future__ import annotations

import re

from orchestrator.ports import TargetTags

OLDEST_GLIBC_MINOR = {"x86_64": 5, "i686": 5}
"""PEP 600: manylinux_2_5 is manylinux1; other machines began with manylinux2014."""
LEGACY_TAGS = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""glibc minor → the tag's older name (PEP 600)."""


def platform_tags(tags: TargetTags) -> tuple[str, ...]:
    """Return the platform tags of a host, best first: all manylinux up to its glibc, then `linux_<machine>`."""
    match = re.fullmatch(r"2\.(\d+)", tags.glibc)
    newest, oldest = int(match[1]) if match else 0, OLDEST_GLIBC_MINOR.get(tags.machine, 17)
    names: list[str] = []
    for minor in range(newest, oldest - 1, -1):
        names.append(f"manylinux_2_{minor}")
        names.extend([LEGACY_TAGS[minor]] if minor in LEGACY_TAGS else [])
    return tuple(f"{name}_{tags.machine}" for name in (*names, "linux"))


def pip_options(tags: TargetTags) -> list[str]:
    """Return pip's options for this interpreter and machine; pip itself adds the tags `abi3` and `none`."""
    platforms = [option for tag in platform_tags(tags) for option in ("--platform", tag)]
    python = ["--python-version", tags.python_version, "--implementation", "cp", "--abi", tags.abi_tag]
    return ["--only-binary", ":all:", *python, *platforms]


def describe(tags: TargetTags) -> str:
    """Return the target in words: `cp311, x86_64, glibc 2.36`."""
    return f"{tags.abi_tag}, {tags.machine}, glibc {tags.glibc or 'none'}"
