"""Stand in for one of nvcc's inner programs, and run it only when its answer is not known yet.

    python -I -S cuda_stage.py CACHE_FOLDER REAL_TOOL ARGUMENT ...

REAL_TOOL is `cudafe++`, `cicc` or `ptxas`. A fat build then finds what the builds for one arch had made, and an op what
another op or folder had made. Equal inputs give equal bytes in every folder: `--orig_src_path_name` is told relative to
the current one, and the module id, which is in the names of internal symbols, is made here, of the source's path and
text. cudafe++ would make it of the absolute path, and of its process id when no symbol of the source is external.

The key is the content of the program, its arguments, and the whole content of every input file: a wrong hit would be
worse than any miss, so no text is ever skipped. Only the files' names are left out, and only where the outputs do not
tell them. An argument that is not in the tables below means that the program is just run; so does line information,
which tells the current folder. Failures are never kept; what a success said is said again. Many processes may use one
cache; a damaged entry is a miss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import NamedTuple

FORMAT = "1"
"""Changed with the layout of an entry."""
LIMIT_BYTES = 5_000_000_000
TRIM_EVERY_S = 3600
STUB_NAME = b"<dsdeploy: the name of the stub file>"


class Syntax(NamedTuple):
    """The arguments of one program, as `nvcc --dryrun` of CUDA 13.0 tells them. An option's value is the next word."""

    flags: str
    """Matches the words that stand alone and name no file."""
    texts: tuple[str, ...] = ()
    """Options whose value is no file, or a file's name that goes into the outputs."""
    inputs: tuple[str, ...] = ()
    """Options whose value is a file that is read, beside the one that no option names."""
    outputs: tuple[str, ...] = ()
    """Options whose value is a file that is written; all must be there."""


FRONT_END = (
    r"--c\+\+(11|14|17|20|23)|--gnu_version=\d+|--display_error_number|--static-host-stub|--device-hidden-visibility"
    r"|--allow_managed|--relaxed_constexpr|--extended-lambda"
)
STUB_OPTION = "--stub_file_name"
SOURCE_NAMES = ("--orig_src_file_name", "--orig_src_path_name")
SYNTAX = {
    "cudafe++": Syntax(
        flags=FRONT_END + r"|--m64|--parse_templates",
        texts=SOURCE_NAMES,
        inputs=("--module_id_file_name",),
        outputs=("--gen_c_file_name",),
    ),
    "cicc": Syntax(
        flags=FRONT_END + r"|-m64|--no-version-ident|-(ftz|prec_div|prec_sqrt|fmad)=[01]|-fast-math"
        r"|--gen_div_approx_ftz|-tused",
        texts=(*SOURCE_NAMES, "-arch", "--include_file_name"),
        inputs=("--module_id_file_name",),
        outputs=("--gen_c_file_name", STUB_OPTION, "--gen_device_file_name", "-o"),
    ),
    "ptxas": Syntax(flags=r"-arch=\w+|-m64|-O[0-4]|-v|-maxrregcount=\d+", outputs=("-o",)),
}


class Call(NamedTuple):
    """One run of a program, its arguments told apart."""

    words: list[str]
    """What is in the key as it stands."""
    inputs: list[Path]
    outputs: list[Path]
    stub_name: bytes
    """A name that outputs tell: cudafe++ includes that file, cicc marks lines with it. A fat build has another."""


def main() -> None:
    """Answer from the cache, or run the program."""
    cache, tool, words = Path(sys.argv[1]), sys.argv[2], with_relative_source(sys.argv[3:])
    words = with_module_id(words, SYNTAX.get(Path(tool).name))
    call = understood(words, SYNTAX.get(Path(tool).name))
    key = key_of(call, programs_of(tool), cache) if call else None
    if call is None or key is None:
        os.execv(tool, [tool, *words])  # noqa: S606 - argv, no shell
    entry = cache / key
    answer = find(entry, call.stub_name)
    if answer is None or not put_back(answer, call):
        answer = run([tool, *words], call)
        keep(entry, answer, call)
    sys.stdout.buffer.write(answer[-2])
    sys.stderr.buffer.write(answer[-1])


def with_relative_source(words: list[str]) -> list[str]:
    """Return the arguments with the source's path relative to the current folder, if it lies in there."""
    folder = f"{Path.cwd()}/"
    after = ["", *words]
    return [
        word[len(folder) :] if option == "--orig_src_path_name" and word.startswith(folder) else word
        for option, word in zip(after, words)  # noqa: B905 - Python 3.8
    ]


def with_module_id(words: list[str], syntax: Syntax | None) -> list[str]:
    """Write the module id, if the program was asked to make one, and return the arguments without that wish."""
    wish, path, source = "--gen_module_id_file", "--module_id_file_name", "--orig_src_path_name"
    others = [word for word in words if word != wish]
    call = understood(others, syntax)
    if len(others) == len(words) or call is None or source not in others:
        return words
    name = others[others.index(source) + 1]
    with contextlib.suppress(OSError):  # the program says best what is missing
        digest = hashlib.sha256(name.encode() + b"\0" + call.inputs[0].read_bytes()).hexdigest()
        word = re.sub(r"\W", "_", Path(name).name)
        Path(others[others.index(path) + 1]).write_text(f"_{digest[:8]}_{len(word)}_{word}_{digest[8:16]}", "ascii")
        return others
    return words


def understood(words: list[str], syntax: Syntax | None) -> Call | None:
    """Return the arguments told apart; None when one is unknown, twice there, or missing."""
    if syntax is None:
        return None
    flags, files, values = [], [], {}
    rest = iter(words)
    for word in rest:
        if word in (*syntax.texts, *syntax.inputs, *syntax.outputs, STUB_OPTION) and word not in values:
            values[word] = next(rest, "")
        elif re.fullmatch(syntax.flags, word):
            flags.append(word)
        elif not word.startswith(("-", "@")):
            files.append(word)
        else:
            return None
    if len(files) != 1 or not {*syntax.inputs, *syntax.outputs} <= {*values}:
        return None
    return Call(
        words=flags + [word for option in syntax.texts for word in (option, values.get(option, ""))],
        inputs=[Path(files[0]), *(Path(values[option]) for option in syntax.inputs)],
        outputs=[Path(values[option]) for option in syntax.outputs],
        stub_name=values.get(STUB_OPTION, "").encode(),
    )


def programs_of(tool: str) -> list[Path]:
    """Return the files that together are the program: cicc links libdevice in, which nvcc.profile says where it is."""
    programs = [Path(tool)]
    if programs[0].name == "cicc":
        folder = os.environ.get("NVVMIR_LIBRARY_DIR") or programs[0].resolve().parents[1] / "libdevice"
        programs += sorted(Path(folder).glob("*.bc"))
    return programs


def key_of(call: Call, programs: list[Path], cache: Path) -> str | None:
    """Return the digest of all that the answer depends on; None when it cannot be read."""
    try:
        digests = [remembered_digest(path, cache / "programs") for path in programs]
        contents = [path.read_bytes() for path in call.inputs]
    except OSError:  # the program says best what is missing
        return None
    parts = [FORMAT, programs[0].name, *digests, *call.words]
    parts += [hashlib.sha256(content).hexdigest() for content in contents]
    if any(call.stub_name in told for told in (*contents, json.dumps(call.words).encode())):
        # Then the outputs may have it from there.
        parts.append(call.stub_name.decode())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def remembered_digest(path: Path, folder: Path) -> str:
    """Return the digest of a file that seldom changes (cicc has 76 MB), remembered by its path, size and time."""
    real = path.resolve()
    status = real.stat()
    about = json.dumps([str(real), status.st_size, status.st_mtime_ns, status.st_ino])
    memory = folder / hashlib.sha256(about.encode()).hexdigest()
    known = memory.read_text(encoding="ascii", errors="replace") if memory.is_file() else ""
    if not re.fullmatch("[0-9a-f]{64}", known):
        known = hashlib.sha256(real.read_bytes()).hexdigest()
        write(memory, known.encode())
    return known


def find(entry: Path, stub_name: bytes) -> list[bytes] | None:
    """Return an answer: the outputs' content, then what was said on stdout and stderr; None when it is not whole."""
    try:
        digest, sizes, body = entry.read_bytes().split(b"\n", 2)
        if hashlib.sha256(sizes + body).hexdigest().encode() != digest:
            return None
        os.utime(entry)  # the least recently used go first
        content = zlib.decompress(body)
    except (OSError, ValueError, zlib.error):
        return None
    answer, at = [], 0
    for size in json.loads(sizes):
        answer.append(content[at : at + size].replace(STUB_NAME, stub_name))
        at += size
    return answer


def put_back(answer: list[bytes], call: Call) -> bool:
    """Write the outputs, and say whether that went well."""
    try:
        for path, content in zip(call.outputs, answer):  # noqa: B905 - Python 3.8
            path.write_bytes(content)
    except OSError:
        return False
    return True


def run(command: list[str], call: Call) -> list[bytes]:
    """Run the program and return its answer; where it fails, end as it did."""
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode == 0:
        return [*(path.read_bytes() for path in call.outputs if path.is_file()), result.stdout, result.stderr]
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if result.returncode < 0:  # nvcc shall see the signal
        os.kill(os.getpid(), -result.returncode)
    sys.exit(result.returncode)


def keep(entry: Path, answer: list[bytes], call: Call) -> None:
    """Take an answer in, unless it tells a name that the key does not."""
    if len(answer) != len(call.outputs) + 2 or any(STUB_NAME in content for content in answer):
        return
    if call.stub_name:
        answer = [content.replace(call.stub_name, STUB_NAME) for content in answer]
    names = [path.name.encode() for path in call.inputs + call.outputs]
    if any(name in content for name in names for content in answer):
        return
    sizes = json.dumps([len(content) for content in answer]).encode()
    body = zlib.compress(b"".join(answer), 1)
    digest = hashlib.sha256(sizes + body).hexdigest().encode()
    write(entry, b"\n".join((digest, sizes, body)))
    with contextlib.suppress(OSError):
        trim_now_and_then(entry.parent)


def write(path: Path, content: bytes) -> None:
    """Write a file of the cache, whole or not at all; a cache that cannot be written is only of no use."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def trim_now_and_then(cache: Path) -> None:
    """Trim the cache once an hour."""
    stamp = cache / "programs" / "trimmed"
    if not stamp.is_file() or time.time() - stamp.stat().st_mtime > TRIM_EVERY_S:
        write(stamp, b"")
        trim(cache, LIMIT_BYTES)


def trim(cache: Path, limit_bytes: int) -> None:
    """Remove the least recently used entries, and what killed processes left, if all are larger than the limit."""
    entries = []
    for path in cache.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process trims too
            status = path.stat()
            if path.is_file():
                entries.append((status.st_mtime_ns, status.st_size, path))
    used = sum(size for _, size, _ in entries)
    if used <= limit_bytes:
        return
    for _, size, path in sorted(entries):
        if used <= limit_bytes * 9 // 10:
            return
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        used -= size


if __name__ == "__main__":
    main()
