"""A few hundred hostile uploads; `benchmarks/hostile_uploads.py` sends ten thousand."""

import asyncio

import pytest
from benchmarks.hostile_uploads import Attack, attack
from benchmarks.service import Server, make_request, send_once

pytestmark = pytest.mark.slow
HALF = 200  # uploads
MOST_GROWTH = 60_000_000  # bytes from the first half of the uploads to the second


def test_hostile_uploads_get_stated_replies_and_take_no_memory(server: Server, picture: bytes):
    result = Attack()
    halves = range(HALF), range(HALF, 2 * HALF)
    memory = [asyncio.run(attack(server, half, result, slow_clients=4)) for half in halves]
    assert sum(counts.total() for counts in result.statuses.values()) == 2 * HALF
    assert not result.faults
    assert memory[1] - memory[0] < MOST_GROWTH
    reply = asyncio.run(send_once(server.port, make_request(picture, "image/png")))
    assert reply.status == 200
