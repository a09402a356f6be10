"""Which host keys are trusted: known_hosts files as sshd(8) describes them, read once for all hosts."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SSH_PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """One line: whose key it is, and what key."""

    patterns: tuple[str, ...]
    """Names, globs, `!`-negated globs, `[name]:port`, or one hashed name `|1|salt|hash`."""
    kind: str
    """`ssh-ed25519`."""
    key: str
    """Base64, as in the file."""
    is_revoked: bool = False

    def belongs_to(self, name: str) -> bool:
        """Whether the line speaks of `name`."""
        is_match = False
        for pattern in self.patterns:
            if pattern.startswith("!") and _matches(name, pattern[1:]):
                return False
            is_match = is_match or _matches(name, pattern)
        return is_match


class KnownKeys:
    """The lines of one file; those with plain names, a cluster's thousands, are found without a look at each."""

    def __init__(self, lines: Iterable[KnownKey]) -> None:
        self._named: defaultdict[str, list[KnownKey]] = defaultdict(list)
        self._others: list[KnownKey] = []
        for line in lines:
            self.add(line)

    def add(self, line: KnownKey) -> None:
        """Take one more line."""
        if any(pattern.startswith(("!", "|1|")) or "*" in pattern or "?" in pattern for pattern in line.patterns):
            self._others.append(line)
        else:
            for name in line.patterns:
                self._named[name].append(line)

    def of(self, name: str) -> list[KnownKey]:
        """Return the lines that speak of `name`."""
        return [*self._named.get(name, ()), *(line for line in self._others if line.belongs_to(name))]


class KnownHosts:
    """The lines of several files. Safe to use from several threads."""

    def __init__(self) -> None:
        self._files: dict[Path, KnownKeys] = {}
        self._lock = threading.Lock()

    def keys_of(self, name: str, files: Iterable[Path]) -> tuple[KnownKey, ...]:
        """Return the lines of these files that speak of `name`."""
        return tuple(line for file in files for line in self._keys_in(file).of(name))

    def remember(self, name: str, kind: str, key: str, file: Path) -> None:
        """Append a new key to a file, once; the file and its folder are made. Raises OSError."""
        line = KnownKey(patterns=(name,), kind=kind, key=key)
        known = self._keys_in(file)
        with self._lock:
            if line in known.of(name):
                return
            known.add(line)
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            before = _read(file)
            with file.open("a", encoding="utf-8") as stream:
                stream.write("\n" if before and not before.endswith("\n") else "")
                stream.write(f"{name} {kind} {key}\n")

    def _keys_in(self, file: Path) -> KnownKeys:
        with self._lock:
            if file not in self._files:
                self._files[file] = KnownKeys(parse_known_hosts(_read(file)))
            return self._files[file]


def parse_known_hosts(text: str) -> list[KnownKey]:
    """Return the lines that name a key; certificate authorities are not supported and left out."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        is_revoked = words[:1] == ["@revoked"]
        fields = words[1:] if is_revoked else words
        if len(fields) >= 3 and not fields[0].startswith(("#", "@")):
            names, kind, key = fields[:3]
            lines.append(KnownKey(patterns=tuple(names.split(",")), kind=kind, key=key, is_revoked=is_revoked))
    return lines


def name_of(host: str, port: int) -> str:
    """Return a host's name as known_hosts writes it: `name`, or `[name]:port` off the usual port."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def fingerprint(key: bytes) -> str:
    """Return a public key's fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("|1|"):
        return _is_hash_of(name, pattern)
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
    return name == pattern


def _is_hash_of(name: str, pattern: str) -> bool:
    try:
        _, _, salt, digest = pattern.split("|")
        expected = base64.b64decode(digest)
        found = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
    except ValueError:
        return False
    return hmac.compare_digest(found, expected)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
