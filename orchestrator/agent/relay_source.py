"""Where this host takes chunks from at this moment: a peer, the controller, or nobody."""

from __future__ import annotations

from .relay_pulling import Loss, Pull
from .relay_stream import Intake, WrongBytesError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import selectors
    from typing import Any, Callable

    from .relay_holding import Holding
    from .relay_tls import Identity
    from .request import Request

    Message = dict[str, Any]


class Source:
    """One at a time: the next one replaces it, and one that fails is told and left."""

    def __init__(
        self,
        request: Request,
        holding: Holding,
        introduce: Callable[[], Identity],
        selector: selectors.BaseSelector,
    ) -> None:
        self._request = request
        self._holding = holding
        self._introduce = introduce
        self._selector = selector
        self._attempt = 0
        self._pull: Pull | None = None
        self._feed: Intake | None = None

    def pull(self, message: Message) -> None:
        """Take from the peer that the message names."""
        if not self._replace(message) or self._holding.is_complete:
            return
        try:
            identity = self._introduce()
        except OSError as error:
            self._lose(Loss("stranger", str(error)))
        else:
            self._pull = Pull(message, self._holding, identity, self._selector, self._lose)
            self._pull.start()

    def feed(self, message: Message) -> None:
        """Take from the controller, which is told what lacks."""
        if not self._replace(message):
            return
        lacking = self._holding.lacking()
        self._feed = Intake(self._holding, lacking)
        self._request.event("wants", attempt=self._attempt, ranges=lacking)

    def take_piece(self, message: Message, payload: bytes) -> None:
        """Take a slice of the controller's stream, unless it comes too late."""
        if self._feed is None or message["attempt"] != self._attempt:
            return
        try:
            self._feed.take(payload)
        except WrongBytesError as error:
            self._lose(Loss("wrong-bytes", str(error)))

    def _replace(self, message: Message) -> bool:
        """Leave the present source for a newer one; return whether it is newer: messages may overtake each other."""
        is_newer: bool = message["attempt"] > self._attempt
        if is_newer:
            self.leave()
            self._attempt = message["attempt"]
        return is_newer

    def leave(self) -> None:
        """Take from nobody."""
        if self._pull is not None:
            self._pull.close()
        self._pull = self._feed = None

    def resume(self) -> None:
        """Go on after a pause for want of room."""
        if self._pull is not None:
            self._pull.resume()

    def tick(self, now: float) -> None:
        """Notice a peer's silence."""
        if self._pull is not None:
            self._pull.tick(now)

    def _lose(self, loss: Loss) -> None:
        self.leave()
        self._request.event("lost", attempt=self._attempt, reason=loss.reason, text=loss.text)
