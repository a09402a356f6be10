"""Reads racks out of host names: `r12n03`, `rack2-node5`, `node-r1-02`, `node5.rack2.example`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_RACK = re.compile(r"(?<![a-z])r(?:ack)?[-_]?[0-9]+", re.IGNORECASE)


def racks_in_names(hosts: Collection[str]) -> Mapping[str, str]:
    """Return host → the word for its rack, as written in its name; nothing unless every name has such a word."""
    found = {host: match[0] for host in hosts if (match := _RACK.search(host))}
    return found if len(found) == len(hosts) else {}
