"""Tells on a host itself, without a controller, whether it still has what was committed there.

Commit leaves this very file on the host, as a program: it imports nothing of this package, of the standard library only
what starts fast, and runs no other program.
"""

from __future__ import annotations

import binascii
import csv
import getopt
import hashlib
import json
import os
import re
import sys
import threading
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Sequence

    Ledger = dict[str, Any]

SCHEMA = "dsdeploy.local-status/1"
_DRIFTED = 10
_USAGE = 2
_HELP = """Usage: status [--local] [--max-age AGE] [--python PYTHON] [--json] [-q]

Say whether this host still has what dsdeploy committed here: files, torch, GPUs and driver. Nobody else is asked.
Ends with 0 when it has, else with 10 and one line for each reason.

  --max-age AGE    older deployments do not count: 30m, 24h, 7d
  --python PYTHON  only this interpreter; default: all that were deployed into, and are still there
  --json           one JSON document on standard output
  -q, --quiet      say nothing; the exit code says it
"""
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAMED = 3
_PIECE_BYTES = 1 << 18
_LARGE_BYTES = 1 << 20
"""Files from this size on are read at the same time, for digests of large pieces let other threads run."""
_URL_SAFE = str.maketrans("+/", "-_")
_LIBRARY_FOLDERS = ("lib", "lib64", os.path.join("local", "lib"))
_AMD = ("AMD", "Instinct", "Radeon", "gfx", "MI2", "MI3")
"""Words of AMD's names for GPUs: their driver says nothing of itself in /proc."""


def main(words: Sequence[str] | None = None) -> int:
    """Check the interpreters of this host, say what was found, and return the exit code."""
    try:
        options = _Options(sys.argv[1:] if words is None else words)
    except (getopt.GetoptError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n  hint: --help\n")
        return _USAGE
    if options.wants_help:
        sys.stdout.write(_HELP)
        return 0
    try:
        checked = _check(options)
        reasons = [f"{each['prefix']}: {reason}" for each in checked for reason in each["reasons"]]
        if not checked:
            reasons = [f"{options.python or 'this host'}: nothing is committed there"]
    except (OSError, ValueError) as error:
        checked, reasons = [], [str(error)]
    _tell(options, checked, reasons)
    return _DRIFTED if reasons else 0


def read_ledgers(cache: str) -> list[Ledger]:
    """Return what this host has written down about each interpreter that dsdeploy deployed into.

    Raises ValueError when a file of it is damaged, OSError when one cannot be read.
    """
    folder = os.path.join(cache, "deployments")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    ledgers = [_read_ledger(os.path.join(folder, name)) for name in names if name.endswith(".json")]
    return [each for each in ledgers if each["prefix"] and each["hostname"] == os.uname().nodename]


def edited_files(record: str) -> list[str]:
    """Return the files that are missing, or not as the RECORD at this path says; relative to its site-packages.

    Those that it gives no digest for, as what Python compiled itself, are nobody's to compare.
    """
    site = os.path.dirname(os.path.dirname(record))
    with open(record, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = [(row[0], row[1], int(row[2] or 0)) for row in csv.reader(stream) if len(row) > 2 and row[1]]
    edited = set()

    def check(name: str, said: str) -> None:
        if not _is_as_said(os.path.join(site, name), said):
            edited.add(name)

    threads = [threading.Thread(target=check, args=(name, said)) for name, said, size in rows if size >= _LARGE_BYTES]
    for thread in threads:
        thread.start()
    for name, said, size in rows:
        if size < _LARGE_BYTES:
            check(name, said)
    for thread in threads:
        thread.join()
    return [name for name, _, _ in rows if name in edited]


def find_records(prefix: str) -> list[str]:
    """Return the RECORD files of DeepSpeed in every site-packages of an installation of Python."""
    return [
        os.path.join(site, name, "RECORD")
        for site in _site_packages(prefix)
        for name in sorted(os.listdir(site))
        if name.lower().startswith("deepspeed-") and name.endswith(".dist-info")
    ]


def find_reasons(ledger: Ledger, nvidia: str) -> Iterator[str]:
    """Yield why an interpreter is not as it was committed; `nvidia` is where the driver tells of itself."""
    stamp, pending = ledger["stamp"], ledger["pending"]
    if pending is not None:
        yield f"deployment {pending['deployment']} of {pending['author']} has not ended here: {pending['state']}"
        return
    if stamp is None:
        yield "nothing is committed there"
        return
    yield from _deepspeed_reasons(stamp)
    yield from _torch_reasons(stamp)
    yield from _gpu_reasons(stamp, nvidia)


def parse_driver(text: str) -> str | None:
    """Return the version in the text of /proc/driver/nvidia/version, which has another layout for open modules."""
    found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", text, re.MULTILINE)
    return found.group(1) if found else None


def parse_age(text: str) -> int:
    """Return the seconds in `90s`, `30m`, `24h`, `7d`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        raise ValueError(f"{text!r} is no age: 30m, 24h, 7d")
    return int(found.group(1)) * _UNITS_S[found.group(2)]


def prefix_of(python: str) -> str:
    """Return `sys.prefix` of an interpreter, named by path or by name, as its path tells: it is not run."""
    path = os.path.expanduser(python)
    if os.sep not in path:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        path = next((os.path.join(each, path) for each in folders if os.path.exists(os.path.join(each, path))), path)
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    if os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        return prefix
    return os.path.dirname(os.path.dirname(os.path.realpath(path)))


class _Options:
    """What the words on the command line ask for; getopt reads them, because argparse takes 10 ms to start."""

    def __init__(self, words: Sequence[str]) -> None:
        names = ["local", "max-age=", "python=", "json", "quiet", "help"]
        said, others = getopt.getopt(list(words), "qh", names)
        if others:
            raise getopt.GetoptError(f"unexpected argument {others[0]!r}")
        options = {name.lstrip("-")[0]: value for name, value in said}  # all begin with letters of their own
        self.python = options.get("p")
        self.max_age_s = parse_age(options["m"]) if "m" in options else None
        self.as_json = "j" in options
        self.is_quiet = "q" in options
        self.wants_help = "h" in options


def _tell(options: _Options, checked: list[dict[str, Any]], reasons: list[str]) -> None:
    if options.as_json:
        document = {"schema": SCHEMA, "host": os.uname().nodename, "reasons": reasons, "interpreters": checked}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif not options.is_quiet:
        good = "{prefix}: DeepSpeed {version} of deployment {deployment}, committed {committed_at}"
        sys.stdout.write("".join(f"{line}\n" for line in reasons or [good.format(**each) for each in checked]))


def _cache_folder() -> str:
    """Return the folder where this program lies beside the ledgers, else this user's."""
    beside = os.path.dirname(os.path.abspath(__file__))
    if os.path.isdir(os.path.join(beside, "deployments")):
        return beside
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dsdeploy")


def _read_ledger(path: str) -> Ledger:
    """Return what it says; an older one holds the stamp and the host's name alone."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    try:
        said = json.loads(text)
        stamp = said.get("stamp")
        prefix = said.get("prefix") or (stamp or {}).get("prefix")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return {"prefix": prefix, "hostname": said.get("hostname"), "stamp": stamp, "pending": said.get("pending")}


def _check(options: _Options) -> list[dict[str, Any]]:
    prefix = prefix_of(options.python) if options.python else None
    now = datetime.now(timezone.utc)
    return [_checked(each, now, options.max_age_s) for each in read_ledgers(_cache_folder()) if _is_meant(each, prefix)]


def _is_meant(ledger: Ledger, prefix: str | None) -> bool:
    """Tell whether a ledger is asked for; without a name those are that say anything of what is still there."""
    if prefix is not None:
        return bool(os.path.realpath(ledger["prefix"]) == os.path.realpath(prefix))
    return bool(ledger["stamp"] or ledger["pending"]) and os.path.isdir(ledger["prefix"])


def _checked(ledger: Ledger, now: datetime, max_age_s: int | None) -> dict[str, Any]:
    stamp = ledger["stamp"] or {}
    nvidia = os.environ.get("DSDEPLOY_NVIDIA", "/proc/driver/nvidia")  # lets a test host play one with GPUs
    reasons = list(find_reasons(ledger, nvidia))
    if stamp and max_age_s is not None:
        reasons.extend(_age_reasons(stamp["committed_at"], now, max_age_s))
    said = {name: stamp.get(name) for name in ("deployment", "version", "committed_at", "committed_by")}
    return {"prefix": ledger["prefix"], **said, "reasons": reasons}


def _site_packages(prefix: str) -> Iterator[str]:
    for folder in dict.fromkeys(os.path.realpath(os.path.join(prefix, name)) for name in _LIBRARY_FOLDERS):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in (name for name in names if name.startswith("python3")):
            sites = [os.path.join(folder, name, site) for site in ("site-packages", "dist-packages")]
            yield from filter(os.path.isdir, sites)


def _is_as_said(path: str, said: str) -> bool:
    algorithm, _, expected = said.partition("=")
    try:
        digest = hashlib.new(algorithm)
        with open(path, "rb", buffering=0) as stream:
            for piece in iter(lambda: stream.read(_PIECE_BYTES), b""):
                digest.update(piece)
    except (OSError, ValueError):
        return False
    found = binascii.b2a_base64(digest.digest(), newline=False).decode("ascii")
    return found.translate(_URL_SAFE).rstrip("=") == expected


def _deepspeed_reasons(stamp: dict[str, Any]) -> Iterator[str]:
    records = find_records(stamp["prefix"])
    digests = {hashlib.sha256(_read(each)).hexdigest(): each for each in records}
    ours = digests.get(stamp["record_sha256"])
    if ours is None:
        there = ", ".join(os.path.basename(os.path.dirname(each)).rpartition(".")[0] for each in records)
        yield f"DeepSpeed {stamp['version']} was replaced; there is {there or 'none'}"
        return
    edited = edited_files(ours)
    if edited:
        more = f" and {len(edited) - _NAMED} more" if len(edited) > _NAMED else ""
        yield f"files edited: {', '.join(edited[:_NAMED])}{more}"


def _torch_reasons(stamp: dict[str, Any]) -> Iterator[str]:
    path = stamp.get("torch_file")
    if path is None:
        return
    found = re.search(rb"^__version__\s*(?::[^=\n]+)?=\s*['\"]([^'\"]+)", _read(path), re.MULTILINE)
    now = found.group(1).decode("utf-8", "replace") if found else "missing"
    if now != stamp["torch_version"]:
        yield f"torch was {stamp['torch_version']} and is {now}"


def _gpu_reasons(stamp: dict[str, Any], nvidia: str) -> Iterator[str]:
    gpus = stamp.get("gpus") or []
    if not gpus or any(word in name for word in _AMD for name in gpus):
        return
    driver = parse_driver(_read(os.path.join(nvidia, "version")).decode("utf-8", "replace"))
    if stamp.get("driver") and driver != stamp["driver"]:
        yield f"the driver was {stamp['driver']} and is {driver or 'not loaded'}"
    folder = os.path.join(nvidia, "gpus")
    count = len(os.listdir(folder)) if os.path.isdir(folder) else 0
    if count != len(gpus):
        yield f"there were {len(gpus)} GPUs ({', '.join(dict.fromkeys(gpus))}) and there are {count}"


def _age_reasons(committed_at: str, now: datetime, max_age_s: int) -> Iterator[str]:
    age_s = (now - datetime.fromisoformat(committed_at.replace("Z", "+00:00"))).total_seconds()
    if age_s > max_age_s:
        yield f"committed {committed_at}: {int(age_s)} s ago, {max_age_s} s are allowed"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
