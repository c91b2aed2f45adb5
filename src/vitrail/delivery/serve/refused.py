"""Requests that get no answer, and the limits that they are over."""

from dataclasses import dataclass

MOST_BODY_BYTES = 32_000_000  # of one request; photographs of cameras have up to about 30 MB
MOST_IMAGES = 32  # of one request
BODY_SECONDS = 30.0  # in which the body of a request must arrive


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client gets in place of an answer: a status, a code for programs and a text for people."""

    status: int
    code: str
    text: str
    retry_after: int | None = None  # seconds


class RequestRefused(Exception):  # noqa: N818 - it says what happened to the request
    """A request is not answered; `reply` says why."""

    def __init__(self, status: int, code: str, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.reply = Reply(status, code, text, retry_after)
