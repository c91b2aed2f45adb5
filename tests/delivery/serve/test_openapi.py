"""Requests that the OpenAPI document allows and forbids get the replies that it states."""

import pytest
from benchmarks.service import Server
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow
EXAMPLES = 40  # of each operation, allowed and forbidden
# Bytes that the document allows are seldom an image: then the reply is 422, which this check does not expect.
LEFT_OUT = [schemathesis.checks.positive_data_acceptance]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_replies_are_those_of_the_document(server: Server, mode: object):
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    called = set()
    for result in document.get_all_operations():
        operation = result.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and not list(operation.body):
            continue  # nothing can be sent that it forbids

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def call(case):
            called.add((case.operation.label, case.call_and_validate(excluded_checks=LEFT_OUT).status_code))

        call()
    assert ("POST /v1/predict", 200) in called or mode is schemathesis.GenerationMode.NEGATIVE
    assert ("GET /v1/model", 200) in called or mode is schemathesis.GenerationMode.NEGATIVE
