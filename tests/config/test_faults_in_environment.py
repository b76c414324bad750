"""Secrets, and the environment."""

import pytest

OK = "instructions: Be brief.\n"

CASES = {
    "env-elsewhere": (
        {"a.yaml": OK + "greeting: Hello ${NAME}\n"},
        [
            "a.yaml:2:17: ${NAME} has no meaning here (the environment is read in model.url, model.headers and deliver only)"
        ],
    ),
    "env-name": (
        {"a.yaml": OK + 'model: {headers: {api-key: "${azure-key}"}}\n'},
        ["a.yaml:2:29: ${azure-key} is not a name of the environment (write ${NAME}, in capitals, digits and _)"],
    ),
    "secret-header": (
        {"a.yaml": OK + "model:\n  headers: {api-key: abc123}\n"},
        [
            'a.yaml:3:22: the header api-key holds a secret in plain text (keep it in the environment: api-key: "${API_KEY}")'
        ],
    ),
    "secret-value": (
        {"a.yaml": OK + 'model:\n  headers: {X-Note: "sk-abcdefghijklmnop"}\n'},
        [
            'a.yaml:3:21: the header X-Note holds a secret in plain text (keep it in the environment: X-Note: "${X_NOTE}")'
        ],
    ),
    "url-http": (
        {"a.yaml": OK + "model: {url: 'https://example.com/v1/realtime'}\n"},
        [
            "a.yaml:2:14: 'https://example.com/v1/realtime' is not the address of a WebSocket (write wss://example.com/v1/realtime)"
        ],
    ),
    "url-word": (
        {"a.yaml": OK + "model: {url: example}\n"},
        ["a.yaml:2:14: 'example' is not the address of a WebSocket (write wss://host/path)"],
    ),
    "url-secret": (
        {"a.yaml": OK + "model: {url: 'wss://example.com/v1?api-key=abc'}\n"},
        ["a.yaml:2:14: the URL holds a secret in plain text (keep it in the environment: ${NAME})"],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
