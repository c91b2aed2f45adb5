"""Messages between this process and the one that parses Parquet: each is a JSON object, with bytes behind it."""

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

LENGTHS = struct.Struct(">IQ")  # of the JSON, and of the bytes


class Pipe:
    """A connection that sends and receives whole messages."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._reader, self._writer = reader, writer

    def send(self, message: Mapping[str, Any], content: bytes = b"") -> None:
        """Send a message; raises EOFError if the other process has ended."""
        text = json.dumps(message).encode()
        try:
            self._writer.write(LENGTHS.pack(len(text), len(content)) + text)
            self._writer.write(content)
            self._writer.flush()
        except OSError as error:
            raise EOFError("the other process has ended") from error

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait for a message; raises EOFError if the other process has ended."""
        text_length, content_length = LENGTHS.unpack(self._read(LENGTHS.size))
        # Vitrail wrote it itself, so parse_json and its checks, meant for files of others, are not needed.
        message: dict[str, Any] = json.loads(self._read(text_length))  # noqa: TID251
        return message, self._read(content_length)

    def close(self) -> None:
        """Close both directions."""
        self._reader.close()
        self._writer.close()

    def _read(self, length: int) -> bytes:
        content = self._reader.read(length)
        if len(content) < length:
            raise EOFError("the other process has ended")
        return content
