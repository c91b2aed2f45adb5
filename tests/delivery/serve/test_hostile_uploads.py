"""A few hundred hostile uploads; `benchmarks/hostile_uploads.py` sends ten thousand."""

import asyncio

import pytest
from benchmarks.hostile_uploads import attack
from benchmarks.service import Server, make_request, send_once

pytestmark = pytest.mark.slow
UPLOADS = 400
MOST_GROWTH = 60_000_000  # bytes between a quarter of the uploads and their end


def test_hostile_uploads_get_stated_replies_and_take_no_memory(server: Server, picture: bytes):
    result = asyncio.run(attack(server, UPLOADS, slow_clients=4))
    assert sum(sum(counts.values()) for counts in result.statuses.values()) == UPLOADS
    assert not result.faults
    assert result.memory[-1] - result.memory[len(result.memory) // 4] < MOST_GROWTH
    reply = asyncio.run(send_once(server.port, make_request(picture, "image/png")))
    assert reply.status == 200
