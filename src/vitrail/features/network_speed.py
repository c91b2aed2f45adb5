"""How long networks take on this machine, for `--max-ms`: measured once each, and remembered in `network-speeds/`.

A network is measured with random weights, before anything of it is downloaded, with the engine of the default rule. The
first measurement stays, so that the same request gives the same candidates; `vitrail cache prune` forgets it.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

from vitrail.backbones import Card, EngineChoice
from vitrail.backbones.engines import FORWARD_CODE_VERSION
from vitrail.backbones.speed import measure_network, say_how
from vitrail.core.digest_json import add_digest, read_with_digest
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import describe_machine
from vitrail.core.resources import Resources
from vitrail.core.whole_files import put_if_absent

SPEED_VERSION: Final = 1
FOLDER = "network-speeds"


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpeed:
    """Milliseconds an image of a network; `how` says with which engine, on how many threads.

    `network` is the card that was measured; others with the same network and input size share the file.
    """

    version: Literal[1] = SPEED_VERSION
    network: str
    ms: float
    how: str
    processor: str
    created: str


_SPEED = TypeAdapter(NetworkSpeed)


def recall_or_measure(card: Card, choice: EngineChoice, resources: Resources) -> NetworkSpeed:
    """How long a network takes on this machine with an engine; measured if it is not known yet.

    Raises:
        UsageError: the precision is int8, which cannot be measured before there are weights and images.
    """
    file = resources.cache / FOLDER / f"{_key(card, choice, resources)}.json"
    known = read_speed(file)
    if known is not None:
        with suppress(OSError):  # a read-only cache does not remember when it was used
            os.utime(file)
        return known
    threads, machine = resources.threads.compute, describe_machine()
    measured = NetworkSpeed(
        network=card.name,
        ms=1000 / measure_network(card, choice, threads=threads),
        how=say_how(choice, threads),
        processor=machine.cpu if choice.device == "cpu" else machine.gpu or choice.device,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    text = json.dumps(add_digest(_SPEED.dump_python(measured, mode="json")), indent=1) + "\n"
    with suppress(OSError):  # what cannot be written is measured again next time
        file.unlink(missing_ok=True)  # a damaged one
        put_if_absent(file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return read_speed(file) or measured  # another process may have been quicker


def read_speed(file: Path) -> NetworkSpeed | None:
    """What a file of this folder holds; None if it cannot be read or is damaged."""
    try:
        known = _SPEED.validate_python(read_with_digest(file))
    except ValueError:  # pydantic's error is one
        return None
    return known if 0 < known.ms < float("inf") else None


def _key(card: Card, choice: EngineChoice, resources: Resources) -> str:
    machine = describe_machine()
    facts = {
        "cpu": machine.cpu,
        "gpu": machine.gpu,
        "threads": resources.threads.compute,
        "engine": asdict(choice),
        "net": card.network_facts(),
        "crop": card.preprocessing.crop,
        "code": FORWARD_CODE_VERSION,
        "version": SPEED_VERSION,
    }
    return fingerprint(facts)[:32]
