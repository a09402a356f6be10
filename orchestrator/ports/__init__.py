"""The Protocols between what decides and what acts; stages know only these."""

from orchestrator.ports.hosts import (
    Carrier,
    Command,
    Completed,
    Conversation,
    Fleet,
    Parcel,
    Remote,
)
from orchestrator.ports.making import (
    CompileHistory,
    OpCache,
    PackageFile,
    PackageIndex,
    PastCompile,
    Store,
    TargetTags,
    ToolchainProvider,
)
from orchestrator.ports.telling import Journal, Reporter

__all__ = [
    "Carrier",
    "Command",
    "CompileHistory",
    "Completed",
    "Conversation",
    "Fleet",
    "Journal",
    "OpCache",
    "PackageFile",
    "PackageIndex",
    "Parcel",
    "PastCompile",
    "Remote",
    "Reporter",
    "Store",
    "TargetTags",
    "ToolchainProvider",
]
