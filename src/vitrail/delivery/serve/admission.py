"""How many images, and how many bytes of uploads, are in the service at once, and who has to come back later.

All of this runs in the event loop, so it needs no locks.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vitrail.data.in_flight import MOST_FILE_BYTES
from vitrail.delivery.serve.refused import MOST_IMAGES, RequestRefused

WAITING_SECONDS = 2.0  # of work that may wait for the model
LONGEST_RETRY = 60  # seconds


@dataclass(slots=True)
class Admission:
    """Images that have been accepted and are not answered yet.

    A client, which is an address, may have half of the room. So one that sends too much is told so (429) and leaves
    room for others; if all clients together send too much, the service is full (503).
    """

    images_per_s: float
    images: int = 0
    upload_bytes: int = 0
    _by_client: Counter[str] = field(default_factory=Counter)
    _bytes_by_client: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> int:
        """Images of one client that may be in the service at once, at least one request's."""
        return max(MOST_IMAGES, int(WAITING_SECONDS * self.images_per_s / 2))

    @property
    def room(self) -> int:
        """Images of all clients: what the model answers in some seconds."""
        return 2 * self.share

    def require_room(self, client: str, images: int = 1) -> None:
        """Raise RequestRefused if so many images of a client would be too many now."""
        if self._by_client[client] + images > self.share:
            raise RequestRefused(
                429,
                "too_many_requests",
                f"This client has {self._by_client[client]} images waiting, and may have {self.share}. Wait for "
                "answers before sending more.",
                retry_after=self._retry_after(),
            )
        if self.images + images > self.room:
            raise RequestRefused(
                503,
                "busy",
                "The service has as many images as it can answer soon. Send this one again a little later.",
                retry_after=self._retry_after(),
            )

    @contextmanager
    def admitted(self, client: str, images: int) -> Iterator[None]:
        """Hold the places of the images of a request; raises RequestRefused if there are none."""
        self.require_room(client, images)
        self.images += images
        self._by_client[client] += images
        try:
            yield
        finally:
            self.images -= images
            self._by_client[client] -= images
            if not self._by_client[client]:
                del self._by_client[client]

    def take_bytes(self, client: str, size: int) -> None:
        """Hold bytes of an upload; raises RequestRefused if the client, or all together, would have too many."""
        if self._bytes_by_client[client] + size > MOST_FILE_BYTES // 2:
            raise RequestRefused(
                429,
                "too_many_requests",
                "This client sends too many large uploads at once. Wait for answers before sending more.",
                retry_after=1,
            )
        if self.upload_bytes + size > MOST_FILE_BYTES:
            raise RequestRefused(
                503, "busy", "Too many large uploads arrive at once. Send this one again a little later.", retry_after=1
            )
        self.upload_bytes += size
        self._bytes_by_client[client] += size

    def give_bytes_back(self, client: str, size: int) -> None:
        """Hold bytes of an upload no longer."""
        self.upload_bytes -= size
        self._bytes_by_client[client] -= size
        if not self._bytes_by_client[client]:
            del self._bytes_by_client[client]

    def _retry_after(self) -> int:
        """Seconds until what waits now is answered."""
        return min(LONGEST_RETRY, max(1, math.ceil(self.images / self.images_per_s)))


@dataclass(slots=True)
class Upload:
    """The bytes of one request's body, taken from what all uploads may hold as they arrive.

    A client that sends slowly, or promises much, holds no more than it has sent.
    """

    admission: Admission
    client: str
    bytes: int = 0

    def take(self, size: int) -> None:
        """Take bytes; raises RequestRefused if there are too many."""
        self.admission.take_bytes(self.client, size)
        self.bytes += size

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_: object) -> None:
        self.admission.give_bytes_back(self.client, self.bytes)
