"""Serves one controller on standard input and output until it hangs up, then leaves nothing behind."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time

from .cache import Cache
from .errors import AgentError
from .gathering import gather
from .protocol import PROTOCOL, FrameWriter, read_frame
from .request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import BinaryIO, NoReturn

    from .protocol import Frame
    from .transfer import Upload

OPERATIONS = {
    "facts": "facts",
    "run": "commands",
    "ping": "commands",
    "workspace": "commands",
    "discard": "commands",
    "hold": "lock",
    "has": "transfer",
    "get": "transfer",
    "stage": "staging",
    "activate": "activation",
    "status": "status",
    "symbols": "symbols",
    "verify": "verification",
    "verified": "concluding",
    "commit": "concluding",
    "leave": "concluding",
    "undo": "concluding",
    "state": "concluding",
    "relay": "relay",
}
"""Operation → module with a function of that name; imported when first asked for, because starting fast counts."""
_END_S = 2.0
"""For requests to notice that nobody waits for them, and to clean up; one that is stuck is left."""


def serve(folder: str, note: str | None) -> NoReturn:
    """Serve the controller at the other end of standard input; `folder` and `note` are the cache's."""
    writer = FrameWriter(os.dup(1))
    os.dup2(2, 1)  # whatever prints by mistake must not end up between frames
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    server = Server(Cache(folder, note), writer)
    returncode = 1
    try:
        server.serve(sys.stdin.buffer)
        returncode = 0
    except ValueError as error:
        sys.stderr.write(f"the agent was sent something that is no frame: {error}\n")
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        server.close()
        os._exit(returncode)  # threads that still wait for a program must not hold the agent


class Server:
    """Takes frames and gives each request a thread of its own."""

    def __init__(self, cache: Cache, writer: FrameWriter) -> None:
        self._cache = cache
        self._writer = writer
        self._lock = threading.Lock()
        self._requests: dict[object, tuple[Request, threading.Thread]] = {}
        self._uploads: dict[object, Upload] = {}  # only the thread that reads frames touches it

    def serve(self, stream: BinaryIO) -> None:
        """Answer frames until the stream ends. Raises ValueError when it carries something else than frames."""
        python = sys.version.split()[0]
        hello = {"event": "hello", "protocol": PROTOCOL, "python": python, "pid": os.getpid()}
        self._writer.write(dict(hello, host=os.uname().nodename, cache=self._cache.folder, note=self._cache.note))
        while True:
            message = read_frame(stream)
            if message is None:
                return
            self._take(*message)

    def close(self) -> None:
        """End what still runs and remove what is temporary; the host's lock goes last."""
        lock = self._cache.lock
        if lock is not None:
            lock.mark_ending()
        with self._lock:
            running = list(self._requests.values())
        gather(*[request.end for request, _ in running])
        until = time.monotonic() + _END_S
        for _, thread in running:
            thread.join(max(until - time.monotonic(), 0.0))
        for upload in self._uploads.values():
            upload.abandon()
        self._cache.close()
        if lock is not None:
            lock.release()

    def _take(self, frame: Frame, payload: bytes) -> None:
        if "chunk" in frame:
            self._feed(frame.get("id"), payload)
            return
        if "tell" in frame:
            self._tell(frame, payload)
            return
        request = Request(frame, self._cache, self._writer)
        if request.operation == "put":
            self._open_upload(request)
            return
        if request.operation == "cancel":
            self._abandon_upload(frame.get("target"))
        thread = threading.Thread(target=self._answer, args=(request,), daemon=True)
        with self._lock:
            self._requests[request.number] = request, thread
        thread.start()

    def _tell(self, frame: Frame, payload: bytes) -> None:
        with self._lock:
            running = self._requests.get(frame.get("id"))
        if running is not None:  # else it has ended, and what is told comes too late
            running[0].messages.put(frame["tell"], payload)

    def _answer(self, request: Request) -> None:
        try:
            result = self._result_of(request)
            if request.children.is_ended:
                raise AgentError("host", f"{request.operation} was cancelled")  # noqa: TRY301 - same edge as its failure
            request.answer(result)
        except AgentError as error:
            request.refuse(error)
        except Exception:  # noqa: BLE001 - the edge: a bug of ours is told where somebody can see it
            request.refuse(AgentError("bug", importlib.import_module("traceback").format_exc()))
        finally:
            with self._lock:
                self._requests.pop(request.number, None)
            request.messages.close()

    def _result_of(self, request: Request) -> object:
        if request.operation == "cancel":
            return self._cancel(request.value("target", int))
        module = OPERATIONS.get(request.operation)
        if module is None:
            raise AgentError("usage", f"the agent knows no operation {request.operation!r}")
        operation = getattr(importlib.import_module(f".{module}", __package__), request.operation)
        return operation(request)

    def _cancel(self, number: int) -> dict[str, object]:
        with self._lock:
            running = self._requests.get(number)
        if running is not None:
            running[0].end()
        return {}

    def _abandon_upload(self, number: object) -> None:
        upload = self._uploads.pop(number, None)
        if upload is not None:
            upload.abandon()
            upload.request.refuse(AgentError("transfer", "put was cancelled"))

    def _open_upload(self, request: Request) -> None:
        upload_type = importlib.import_module(".transfer", __package__).Upload
        try:
            upload = upload_type(request)
        except AgentError as error:
            request.refuse(error)
            return
        self._uploads[request.number] = upload
        self._feed(request.number, b"")

    def _feed(self, number: object, payload: bytes) -> None:
        """Chunks come one after another and go to disk right here; those of a put that failed are dropped."""
        upload = self._uploads.get(number)
        if upload is None:
            return
        try:
            path = upload.take(payload)
        except AgentError as error:
            upload.request.refuse(error)
        else:
            if path is None:
                return
            upload.request.answer({"path": path})
        del self._uploads[number]


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit
