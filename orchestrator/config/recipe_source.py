"""A recipe's `deepspeed`: a released version, a git tree, or a folder."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.config.faults import Faults
from orchestrator.config.names import quoted
from orchestrator.config.yaml_sections import Section, Word
from orchestrator.model.recipe import Source, SourceKind

_KEYS = ("version", "git", "revision", "path")
_VERSION = re.compile(r"\d+(\.\d+)+((a|b|rc|\.post|\.dev)\d+)*(\+[a-z0-9.]+)?")
_GIT_URL = re.compile(r"(https|http|ssh|git|file)://[^\s-]\S*|[\w.]+@[\w.][\w.-]*:\S+")
"""URLs and scp's form; not git's `ext::`, which runs commands."""
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def read_source(root: Section, folder: Path, faults: Faults) -> Source | None:
    """Return where DeepSpeed's source comes from; `folder`: from where a relative path is meant.

    A git revision is returned as written (commit, tag or branch): what it means is known when it is fetched.
    """
    section = root.section("deepspeed", keys=_KEYS)
    if section is None:
        if "deepspeed" not in root:
            root.complain("deepspeed", "is missing: {version: 0.19.8}, {git: URL, revision: COMMIT} or {path: FOLDER}")
        return None
    kinds = [key for key in ("version", "git", "path") if key in section]
    if len(kinds) != 1:
        root.complain("deepspeed", "exactly one of version, git and path is meant")
        return None
    if "revision" in section and kinds != ["git"]:
        section.complain("revision", "only git has revisions")
    word = section.word(kinds[0])
    if word is None:
        return None
    match kinds[0]:
        case "version":
            return _read_version(word, faults)
        case "git":
            return _read_git(word, section, faults)
        case _:
            return _read_folder(word, folder, faults)


def _read_version(word: Word, faults: Faults) -> Source:
    if not _VERSION.fullmatch(word.text):
        word.complain(faults, f"{quoted(word.text)} is no version like 0.19.8")
    return Source(kind=SourceKind.VERSION, value=word.text)


def _read_git(word: Word, section: Section, faults: Faults) -> Source:
    if not _GIT_URL.fullmatch(word.text):
        word.complain(faults, f"{quoted(word.text)} is no git URL (https://, ssh://, git://, file://, user@host:path)")
    revision = section.word("revision")
    if "revision" not in section:
        section.complain("revision", "is missing: a commit, tag or branch")
    elif revision and not _REVISION.fullmatch(revision.text):
        revision.complain(faults, f"{quoted(revision.text)} is no commit, tag or branch")
    return Source(kind=SourceKind.GIT, value=word.text, revision=revision.text if revision else None)


def _read_folder(word: Word, folder: Path, faults: Faults) -> Source:
    path = (folder / word.text).resolve()
    if word.text.startswith("~"):
        word.complain(faults, "write the whole path, without ~")
    elif not (path / "op_builder").is_dir():
        word.complain(faults, f"{path} is no DeepSpeed source folder: it has no op_builder/")
    return Source(kind=SourceKind.FOLDER, value=str(path))
