"""Reads DeepSpeed out of a git repository: one commit, nothing of its history."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.errors import TransferError
from orchestrator.index.processes import Finished, run

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")

ANOTHER_REPOSITORY = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"})
"""Set inside git's hooks; they would lead our git away from its own folder."""


class Git:
    """The `git` of this machine, with the user's own configuration; it never asks for a password."""

    def __init__(self, environ: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        own = {name: value for name, value in environ.items() if name not in ANOTHER_REPOSITORY}
        self._environ = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **own, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        self._on_line = on_line

    def commit_of(self, url: str, revision: str | None) -> str:
        """Return the full commit of a tag, branch or full commit; of the default branch without one.

        Raises TransferError when the repository cannot be read or does not have it.
        """
        if revision and COMMIT.fullmatch(revision):
            return revision
        name = revision or "HEAD"
        finished = self._git(url, "ls-remote", "--", url, name, f"{name}^{{}}")
        rows = (line.split("\t") for line in finished.lines if "\t" in line)
        commits = {row[1]: row[0] for row in rows}
        for reference in (f"refs/tags/{name}^{{}}", f"refs/tags/{name}", f"refs/heads/{name}", name):
            if reference in commits:
                return commits[reference]
        raise TransferError(
            f"{_shown(url)} has no branch or tag {name!r}",
            hint="a commit must be given with all of its 40 digits",
        )

    def check_out(self, url: str, commit: str, folder: Path) -> None:
        """Fetch one commit and write its files into an empty folder; raises TransferError when that fails."""
        self._git(url, "init", "--quiet", folder)
        self._git(url, "-C", folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, commit)
        self._git(url, "-C", folder, "-c", "core.autocrlf=false", "checkout", "--quiet", "--detach", commit)

    def _git(self, url: str, *arguments: str | Path) -> Finished:
        finished = run(["git", *arguments], environ=self._environ, on_line=self._on_line)
        if finished.returncode:
            lines = [line for line in finished.lines if line.startswith(("fatal: ", "error: "))]
            reason = _shown((lines or ["it said nothing", *finished.lines])[-1])
            raise TransferError(
                f"{_shown(url)} cannot be read: git says {reason!r}",
                hint=f"see that `git ls-remote {_shown(url)}` works here without a password",
            )
        return finished


def _shown(text: str) -> str:
    """Return the text without the user and password that a URL may hold."""
    return CREDENTIALS.sub("", text)
