"""Requests that the OpenAPI document allows and forbids get the replies that it states."""

import pytest
from benchmarks.service import Server
from hypothesis import HealthCheck, settings

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow
EXAMPLES = 60  # of each operation


@pytest.fixture
def document(server: Server):
    """The document of a server."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@schemathesis.pytest.from_fixture("document").parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_replies_are_those_of_the_document(case):
    # Bytes that are valid by the document are seldom an image: then the reply is 422, which the check of accepted data
    # does not expect.
    case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])
