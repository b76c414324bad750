"""Requests of every kind that the description allows, and of kinds that it does not: nothing unforeseen comes back."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_description_holds(served, mode, request):
    if mode is GenerationMode.NEGATIVE and "postgresql" in request.node.callspec.id:
        pytest.skip("what is refused does not reach the database")
    address = f"http://127.0.0.1:{served.port}/api/v1"
    headers = {"Authorization": f"Bearer {served.token}"}
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers=headers)
    tried = []

    def holds(case):
        tried.append(case.operation.label)
        if mode is GenerationMode.POSITIVE and "call_id" in case.path_parameters and len(tried) % 3:
            case.path_parameters["call_id"] = served.ids[len(tried) % len(served.ids)]
        case.call_and_validate(headers=headers)

    every = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not operation.query and not operation.body:
            continue
        strategy = operation.as_strategy(mode)
        settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=every)(
            given(strategy)(holds)
        )()
    assert len(tried) >= 25
