"""Says which files a wheel will become, before pip unpacks it."""

from __future__ import annotations

import configparser
import os
import zipfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_WRITTEN_BY_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


class _CaseSensitiveParser(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def incoming_paths(wheel: str, scheme: Mapping[str, str]) -> list[str]:
    """Return the absolute paths of a wheel's files in an interpreter's folders, and of the scripts that pip makes.

    Not among them: what Python compiles them to. The rules are those of PEP 427 and of pip's own `headers` folder.
    """
    project = os.path.basename(wheel).partition("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        metadata = next(os.path.dirname(name) for name in names if name.endswith(".dist-info/WHEEL"))
        is_pure = b"Root-Is-Purelib: true" in _read(archive, f"{metadata}/WHEEL")
        scripts = _entry_points(_read(archive, f"{metadata}/entry_points.txt").decode())
    site = scheme["purelib" if is_pure else "platlib"]
    folders = dict(scheme, headers=os.path.join(scheme["headers"], project))
    paths = [_place(name, f"{os.path.splitext(metadata)[0]}.data/", site, folders) for name in names]
    paths += [os.path.join(site, metadata, name) for name in _WRITTEN_BY_PIP]
    return paths + [os.path.join(scheme["scripts"], name) for name in scripts]


def _place(name: str, data: str, site: str, folders: Mapping[str, str]) -> str:
    if name.startswith(data):
        kind, _, rest = name[len(data) :].partition("/")
        if kind in folders:
            return os.path.join(folders[kind], rest)
    return os.path.join(site, name)


def _entry_points(text: str) -> list[str]:
    parser = _CaseSensitiveParser(delimiters=("=",), interpolation=None, strict=False)
    parser.read_string(text)
    sections = [section for section in ("console_scripts", "gui_scripts") if parser.has_section(section)]
    return [name for section in sections for name in parser.options(section)]


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        return b""
