"""Load on `vitrail serve`: throughput beside the runtime alone and LitServe, latency, overload, stop and start.

    python -m benchmarks.serve_load MODEL_FOLDER IMAGES --litserve PYTHON [--seconds 10] [--overload 60]

IMAGES is a folder of image files. PYTHON is the interpreter of an environment with litserve and all that Vitrail needs;
its server opens the same model folder, with the same decoding, model and threads. Server and client share the cores:
what the client takes is printed beside each throughput, so that it can be judged. Under overload half of the clients
have one address, so that it has more than its share (429), and all of them together fill the queue (503).
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
import psutil

from benchmarks.results import machine_line, write_results
from benchmarks.service import Connection, Server, make_form, make_request, say_load, send_once, start_server
from vitrail.core.machine import usable_cores
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.serve.admission import Admission
from vitrail.delivery.serve.connection import MOST_CONNECTIONS

PEER = Path(__file__).with_name("litserve_peer.py")
MOST_IMAGES = 256  # files that are sent in turn
FORM = "multipart/form-data; boundary=0123456789abcdef"
IN_FORM = 8  # images of a form
STARTS = 3
ROUNDS = 3


@dataclass
class Load:
    """What clients saw: the seconds of each answered request, and the number of each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refused: int = 0  # connections that nobody took
    wall_s: float = 0.0
    client_cpu_s: float = 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answered requests was answered."""
        return 1000 * float(np.quantile(self.seconds, share)) if self.seconds else float("nan")


async def send_for(
    port: int, requests: Sequence[bytes], *, clients: int, seconds: float, source: Callable[[int], str] | None = None
) -> Load:
    """Some clients with a connection each, that send as soon as they are answered; `source` gives their addresses."""
    load, following = Load(), cycle(requests)
    begun, cpu = time.perf_counter(), time.process_time()

    async def send(number: int) -> None:
        connection = Connection(port, source(number) if source else f"127.0.0.{2 + number % 200}")
        while time.perf_counter() - begun < seconds:
            sent = time.perf_counter()
            try:
                reply = await connection.send(next(following))
            except ConnectionRefusedError:
                load.refused += 1
                return
            load.statuses[reply.status] += 1
            if reply.status == 200:
                load.seconds.append(time.perf_counter() - sent)
        await connection.close()

    await asyncio.gather(*(send(number) for number in range(clients)))
    load.wall_s, load.client_cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    return load


def time_offline(model: ModelFolder, files: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Images a second of the model alone in its best batch, and of a loop that decodes and then runs the model."""
    size = model.certificate.speed.best.batch
    pixel_BHWC = np.stack([model.decode(data) for data in (list(files) * size)[:size]])
    model.predict(pixel_BHWC)
    alone = repeat_for(seconds, lambda: model.predict(pixel_BHWC))
    following = cycle(files)
    decoded = repeat_for(seconds, lambda: model.predict(np.stack([model.decode(next(following)) for _ in range(size)])))
    return size * alone, size * decoded


def repeat_for(seconds: float, call: Callable[[], object]) -> float:
    """Calls a second."""
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - begun)


@contextmanager
def started_peer(python: Path, folder: Path) -> Iterator[int]:
    """LitServe with the same model in a process of its own; its port."""
    with free_port() as port:
        pass
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PEER.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    }
    process = subprocess.Popen([python, PEER, folder, str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(wait_until_ready(port))
        yield port
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            member.kill()
        process.wait()


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens at."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def wait_until_ready(port: int) -> None:
    """Wait for a server that answers at /health."""
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(600):
        try:
            reply = await send_once(port, request)
            if reply.status == 200:
                return
        except ConnectionRefusedError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError("LitServe does not answer")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--overload", type=float, default=60.0)
    parser.add_argument("--litserve", type=Path, required=True)
    given = parser.parse_args()
    files = [path.read_bytes() for path in sorted(given.images.rglob("*")) if path.suffix.lower() in (".jpg", ".png")]
    files = files[:: max(1, len(files) // MOST_IMAGES)][:MOST_IMAGES]
    lines = [
        "# Load on the service",
        "",
        "    python -m benchmarks.serve_load MODEL_FOLDER IMAGES --litserve PYTHON",
        "",
    ]
    lines += [machine_line(), "", say_load(), ""]
    model = ModelFolder.open(given.folder, threads=usable_cores())
    best = model.certificate.speed.best.batch
    lines += [
        f"{model.facts.backbone}, {model.facts.format} {model.facts.precision}; {len(files)} images of "
        f"{statistics.median(map(len, files)) / 1e3:.0f} kB; batches of up to {best}.",
        "",
    ]
    lines += measure_throughput(given, model, files)
    room = Admission(images_per_s=model.certificate.speed.best.images_per_s).room
    lines += measure_overload(given.folder, files, given.overload, clients=min(MOST_CONNECTIONS - 20, 2 * room))
    lines += measure_stop(given.folder, files, clients=4 * best)
    starts = []
    for _ in range(STARTS):
        server = start_server(given.folder)
        starts.append(server.ready_s)
        server.stop()
    lines += [
        f"Start to ready: {statistics.median(starts):.2f} s ({min(starts):.2f} to {max(starts):.2f}, {STARTS} starts)."
    ]
    write_results("serve_load", lines)


def measure_throughput(given: argparse.Namespace, model: ModelFolder, files: Sequence[bytes]) -> list[str]:
    """The service and LitServe in rounds, before each the model alone: the pace of the machine changes."""
    best = model.certificate.speed.best.batch
    singles = [make_request(data) for data in files]
    forms = [make_request(make_form(files[start : start + IN_FORM]), FORM) for start in range(0, len(files), IN_FORM)]
    bodies = [json.dumps({"image": base64.b64encode(data).decode()}).encode() for data in files]
    peer = [make_request(body, "application/json", "/predict") for body in bodies]
    server = start_server(given.folder)
    with started_peer(given.litserve, given.folder) as peer_port:
        senders = [
            Sender("service, one client", server.port, singles, 1),
            Sender(f"service, {2 * best} clients", server.port, singles, 2 * best),
            Sender(f"service, 4 clients with {IN_FORM} images a request", server.port, forms, 4, IN_FORM),
            Sender("LitServe, one client", peer_port, peer, 1),
            Sender(f"LitServe, {2 * best} clients", peer_port, peer, 2 * best),
        ]
        offline = []
        for _ in range(ROUNDS):
            offline.append(time_offline(model, files, given.seconds))
            for sender in senders:
                sender.measure(time_offline(model, files, given.seconds / 4)[0], given.seconds)
    server.stop()
    lines = ["| | images/s | of the model alone | p50 ms | p99 ms | client's share of the CPU time | refused |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    alone, decoded = (statistics.median(column) for column in zip(*offline, strict=True))
    shares = [decoded / alone for alone, decoded in offline]
    lines += [f"| model alone, batches of {best} | {alone:.1f} | 1.00 | | | | |"]
    lines += [f"| decoding, then the model, in one loop | {decoded:.1f} | {say_spread(shares)} | | | | |"]
    return [*lines, *(sender.row() for sender in senders), ""]


@dataclass
class Sender:
    """Clients that send the same to a server in each round, and what came back."""

    name: str
    port: int
    requests: Sequence[bytes]
    clients: int
    images: int = 1  # of a request
    loads: list[Load] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def measure(self, alone: float, seconds: float) -> None:
        """Send for some seconds after warming up; `alone` is what the model does at this time."""
        asyncio.run(send_for(self.port, self.requests, clients=self.clients, seconds=1.0))
        load = asyncio.run(send_for(self.port, self.requests, clients=self.clients, seconds=seconds))
        self.loads.append(load)
        self.shares.append(self._rate(load) / alone)
        print(f"{self.name}: {self._rate(load):.1f} of {alone:.1f}", flush=True)

    def row(self) -> str:
        """The medians over the rounds."""
        seconds = Load([second for load in self.loads for second in load.seconds])
        client = statistics.median(load.client_cpu_s / load.wall_s / usable_cores() for load in self.loads)
        refused = sum(load.statuses.total() - load.statuses[200] for load in self.loads)
        return (
            f"| {self.name} | {statistics.median(map(self._rate, self.loads)):.1f} | {say_spread(self.shares)} | "
            f"{seconds.percentile(0.5):.1f} | {seconds.percentile(0.99):.1f} | {client:.0%} | {refused} |"
        )

    def _rate(self, load: Load) -> float:
        return self.images * len(load.seconds) / load.wall_s


def say_spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure_overload(folder: Path, files: Sequence[bytes], seconds: float, *, clients: int) -> list[str]:
    """Many more clients than fit, which do not heed Retry-After: statuses, memory, and an answer afterwards."""
    server = start_server(folder)
    requests = [make_request(data) for data in files]

    def send(seconds: float) -> Load:
        return asyncio.run(send_for(server.port, requests, clients=clients, seconds=seconds, source=crowd))

    send(2.0)
    memory, total = [server.memory()], Load()
    for _ in range(max(1, round(seconds / 10))):
        load = send(min(10.0, seconds))
        memory.append(server.memory())
        total.statuses += load.statuses
        total.seconds += load.seconds
        total.wall_s += load.wall_s
    after = asyncio.run(send_once(server.port, requests[0]))
    sent, answered = sum(total.statuses.values()), total.statuses[200]
    return [
        f"Overload: {clients} clients for {total.wall_s:.0f} s sent {sent / total.wall_s:.0f} requests/s, "
        f"{sent / max(1, answered):.1f} times what was answered ({answered / total.wall_s:.1f} a second). Statuses: "
        f"{say_counts(total.statuses)}; cut off: {total.statuses[0]}. p50 {total.percentile(0.5):.0f} ms, p99 "
        f"{total.percentile(0.99):.0f} ms of those answered. Resident memory {memory[0] / 1e6:.0f} MB after warming "
        f"up, then at most {max(memory) / 1e6:.0f} MB, at the end {memory[-1] / 1e6:.0f} MB. Afterwards: status "
        f"{after.status}, exit {server.stop()}.",
        "",
    ]


def crowd(number: int) -> str:
    """The address of a client: half of them share one."""
    return "127.0.0.2" if number % 2 else f"127.0.0.{3 + number % 50}"


def measure_stop(folder: Path, files: Sequence[bytes], *, clients: int) -> list[str]:
    """SIGTERM while clients send: what became of each request."""
    server = start_server(folder)
    requests = [make_request(data) for data in files]
    stopped_at = time.perf_counter() + 4.0

    async def stop_amid(server: Server) -> Load:
        load = asyncio.create_task(send_for(server.port, requests, clients=clients, seconds=30.0))
        await asyncio.sleep(max(0.0, stopped_at - time.perf_counter()))
        server.process.send_signal(signal.SIGTERM)
        return await load

    load = asyncio.run(stop_amid(server))
    code = server.wait()
    return [
        f"SIGTERM while {clients} clients send: {say_counts(load.statuses)}; accepted and not answered: "
        f"{load.statuses[0]}; turned away by the closed port: {load.refused}. Exit {code}, "
        f"{time.perf_counter() - stopped_at:.1f} s after the signal.",
        "",
    ]


def say_counts(statuses: Counter[int]) -> str:
    """Statuses with their numbers."""
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()) if status)


if __name__ == "__main__":
    main()
