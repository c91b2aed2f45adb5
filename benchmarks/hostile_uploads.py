"""Hostile uploads to `vitrail serve`: mutated images, bombs, wrong types, damaged requests, slow clients.

    python -m benchmarks.hostile_uploads MODEL_FOLDER [--uploads 10000]

Every reply must be a stated one: no 5xx but 503 with Retry-After, and no request without a reply except those that are
not whole. The server must be alive at the end, answer as before, and hold no more memory than after the first round.
Memory is measured between rounds, when the server has nothing to do: images that are being decoded may have what
docs/formats.md allows them.
"""

import argparse
import asyncio
import io
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.mutation_seeds import image_seeds
from benchmarks.mutations import mutate
from benchmarks.results import machine_line, write_results
from benchmarks.service import Connection, HttpReply, Server, make_form, make_request, say_load, send_once, start_server

CLIENTS = 8  # at once
SLOW_CLIENTS = 24
ROUNDS = 10
LOOK_SECONDS, REST_SHARE, MOST_SECONDS = 0.5, 0.05, 60  # at rest: less CPU than this share of the time between looks
FORM = "multipart/form-data; boundary=0123456789abcdef"
TYPES = ("text/html", "image/svg+xml", "application/json", "", "image/", "multipart/form-data", "a" * 900)
HEADERS = ("Transfer-Encoding: chunked", "Content-Encoding: gzip", "Expect: 100-continue", "Content-Length: 1")
SHARES = {"mutated images": 60, "mutated forms": 15, "bombs": 5, "wrong types": 10, "damaged requests": 10}


@dataclass
class Attack:
    """What came back: for each kind of upload the number of each status, and every fault."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, kind: str, number: int, reply: HttpReply) -> None:
        """Count a reply."""
        self.statuses.setdefault(kind, Counter())[reply.status] += 1
        refused_for_now = reply.status == 503 and b"retry-after" in reply.head
        if reply.status >= 500 and not refused_for_now:
            self.faults.append(f"{kind} {number}: {reply.status} {reply.body[:200]!r}")
        if b"Traceback" in reply.body or b'File "' in reply.body:
            self.faults.append(f"{kind} {number}: a trace in {reply.body[:200]!r}")
        if reply.status == 0 and kind != "damaged requests":
            self.faults.append(f"{kind} {number}: no reply")


class Hostile:
    """Uploads by their number, the same each time."""

    def __init__(self) -> None:
        kinds = ("jpeg", "png", "gif", "webp", "tiff")
        self.seeds = [content for name, content in image_seeds() if name.startswith(kinds)]
        self.bombs = list_bombs()

    def make(self, number: int) -> tuple[str, bytes]:
        """The kind of an upload, and its request."""
        rng = random.Random(f"upload {number}")
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        makers: dict[str, Callable[[random.Random], bytes]] = {
            "mutated images": lambda rng: make_request(mutate(rng, rng.choice(self.seeds)), "image/png"),
            "mutated forms": self._form,
            "bombs": lambda rng: make_request(rng.choice(self.bombs), "image/png"),
            "wrong types": lambda rng: make_request(rng.choice(self.seeds), rng.choice(TYPES)),
            "damaged requests": self._damaged,
        }
        return kind, makers[kind](rng)

    def _form(self, rng: random.Random) -> bytes:
        images = [rng.choice(self.seeds) for _ in range(rng.choice([1, 2, 5, 40]))]
        return make_request(mutate(rng, make_form(images)), FORM)

    def _damaged(self, rng: random.Random) -> bytes:
        request = make_request(rng.choice(self.seeds), "image/png", extra=[rng.choice(HEADERS)])
        head, separator, body = request.partition(b"\r\n\r\n")
        damage = rng.choice(["head", "huge header", "many headers", "path", "method", "short body", "extra"])
        if damage == "head":
            head = mutate(rng, head)
        elif damage == "huge header":
            head += b"\r\nX: " + b"x" * rng.choice([10_000, 100_000, 1_000_000])
        elif damage == "many headers":
            head += b"".join(b"\r\nX%d: y" % number for number in range(rng.choice([100, 3000])))
        elif damage == "path":
            head = head.replace(
                b"/v1/predict", rng.choice([b"/page/../../../etc/passwd", b"/%00", b"*", b"//", b"/?" * 99])
            )
        elif damage == "method":
            head = head.replace(b"POST", rng.choice([b"PUT", b"TRACE", b"CONNECT", b"X" * 500]))
        elif damage == "short body":
            body = body[: len(body) // 2]
        return head + separator + body


def list_bombs() -> list[bytes]:
    """Small files of large images."""

    def png(width: int, height: int, colour: int = 2) -> bytes:
        def chunk(name: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
        pixels = zlib.compress(bytes(min(width * height, 30_000_000)), 9)
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    def save(image: Image.Image, kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    text = b"\0\0" + zlib.compress(bytes(50_000_000), 9)
    whole = png(64, 64)
    texts = whole[:33] + struct.pack(">I", len(text) + 1) + b"zTXtx" + text + struct.pack(">I", 0) + whole[33:]
    gif = bytearray(save(Image.new("P", (8, 8)), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    return [
        png(1_000_000, 1_000_000),
        png(2**31 - 1, 2**31 - 1),
        png(65_000, 1),
        png(9_999, 9_999, 0),
        texts,
        bytes(gif),
        save(Image.new("1", (60_000, 60_000)), "TIFF", compression="group4"),
        save(Image.new("L", (16_000, 6_000)), "JPEG", progressive=True),
        save(Image.new("RGB", (12_000, 8_000)), "WEBP", quality=1, method=0),
    ]


async def attack(server: Server, uploads: range, result: Attack, *, slow_clients: int = SLOW_CLIENTS) -> int:
    """Send the uploads of these numbers, some clients at once, while others are slow.

    Returns the resident bytes of the server afterwards.
    """
    hostile, numbers = Hostile(), iter(uploads)
    slow = [asyncio.create_task(drip(server.port, number)) for number in range(slow_clients)]

    async def send_uploads(source: str) -> None:
        for number in numbers:
            kind, request = hostile.make(number)
            connection = Connection(server.port, source)  # a new one: the server closes damaged ones
            try:
                reply = await asyncio.wait_for(connection.send(request), 60)
            except TimeoutError:
                reply = HttpReply(0, b"", b"")
            await connection.close()
            result.add(kind, number, reply)

    await asyncio.gather(*(send_uploads(f"127.0.0.{2 + client}") for client in range(CLIENTS)))
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await wait_for_rest(server)
    return server.memory()


async def wait_for_rest(server: Server) -> None:
    """Wait until the images of clients that have left are done: a large one takes seconds on a busy machine."""
    for _ in range(round(MOST_SECONDS / LOOK_SECONDS)):
        before = server.cpu_s()
        await asyncio.sleep(LOOK_SECONDS)
        if server.cpu_s() - before < REST_SHARE * LOOK_SECONDS:
            return
    raise TimeoutError(f"The server still works {MOST_SECONDS} seconds after its last client.")


async def drip(port: int, number: int) -> None:
    """A slow client: a byte of a header or a body now and then, again and again."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n"
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.1.1", 0))
        except OSError:
            await asyncio.sleep(0.1)
            continue
        try:
            if number % 2:
                writer.write(head + b"\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.5)
        except OSError:
            await asyncio.sleep(0.1)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def main() -> None:
    """Attack, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--uploads", type=int, default=10_000)
    given = parser.parse_args()
    server = start_server(given.folder)
    request = make_request(image_seeds().__next__()[1])
    before = asyncio.run(send_once(server.port, request))
    begun = time.perf_counter()
    result, memory, size = Attack(), [], given.uploads // ROUNDS
    for start in range(0, size * ROUNDS, size):
        memory.append(asyncio.run(attack(server, range(start, start + size), result)))
        print(f"{start + size} uploads, {memory[-1] / 1e6:.0f} MB", flush=True)
    seconds = time.perf_counter() - begun
    after = asyncio.run(send_once(server.port, request))
    lines = describe(result, seconds, memory)
    same = before.body.partition(b'"milliseconds"')[0] == after.body.partition(b'"milliseconds"')[0]
    lines.append(f"Afterwards it answered {'as before' if same else 'otherwise'}, and ended with {server.stop()}.")
    write_results("hostile_uploads", lines)


def describe(result: Attack, seconds: float, memory: Sequence[int]) -> list[str]:
    """The result as a page."""
    uploads = sum(counts.total() for counts in result.statuses.values())
    statuses = sorted({status for counts in result.statuses.values() for status in counts})
    names = ["no reply" if status == 0 else str(status) for status in statuses]
    lines = ["# Hostile uploads to the service", "", "    python -m benchmarks.hostile_uploads MODEL_FOLDER", ""]
    lines += [
        machine_line(),
        "",
        say_load(),
        "",
        f"{uploads:,} uploads in {seconds:.0f} s, {SLOW_CLIENTS} slow clients beside them.",
        "",
    ]
    lines += [f"| upload | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for kind, counts in sorted(result.statuses.items()):
        lines.append(f"| {kind} | {' | '.join(str(counts[status]) for status in statuses)} |")
    lines += [
        "",
        f"Resident MB at rest after each {ROUNDS}th: {', '.join(f'{size / 1e6:.0f}' for size in memory)}.",
        "",
    ]
    lines += ["Faults: none." if not result.faults else "Faults:", *(f"- {fault}" for fault in result.faults), ""]
    return lines


if __name__ == "__main__":
    main()
