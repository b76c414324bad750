"""While the gateway starts, its port is open and says so."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from gateway.doorway import Doorway
from gateway.errors import SettingsError


def ask(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body=b"a=1" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def doorway():
    made = Doorway("127.0.0.1", 0)
    yield made
    made.close()
    made.socket.close()


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/healthz", "GET", 200),
        ("/readyz", "GET", 503),
        ("/readyz?verbose=1", "GET", 503),
        ("/twilio/voice", "POST", 503),
        ("/", "GET", 503),
    ],
)
def test_alive_but_not_ready(doorway, path, method, status):
    port = doorway.socket.getsockname()[1]
    found, body = ask(port, path, method)
    assert found == status
    assert body == (b'{"alive":true}' if status == 200 else b'{"ready":false,"reasons":["starting"]}')


def test_clients_that_say_nothing_or_nonsense_hold_up_nobody_for_long(doorway):
    port = doorway.socket.getsockname()[1]
    silent = socket.create_connection(("127.0.0.1", port))
    gone = socket.create_connection(("127.0.0.1", port))
    gone.close()
    with socket.create_connection(("127.0.0.1", port)) as odd:
        odd.sendall(b"x" * 9000)
    assert ask(port, "/healthz")[0] == 200
    silent.close()


def test_closed_it_leaves_the_socket_to_who_takes_over(doorway):
    port = doorway.socket.getsockname()[1]
    doorway.close()
    with socket.create_connection(("127.0.0.1", port)) as client:
        doorway.socket.setblocking(True)
        server, _ = doorway.socket.accept()
        server.sendall(b"new")
        assert client.recv(3) == b"new"
        server.close()


def test_a_port_that_is_taken_is_one_clear_line(doorway):
    port = doorway.socket.getsockname()[1]
    with pytest.raises(SettingsError) as refused:
        Doorway("127.0.0.1", port)
    assert str(refused.value) == (
        f"PORT, HOST: can't listen on 127.0.0.1:{port}: Address already in use "
        f"(end what listens there, or choose another: PORT={port + 1})"
    )


@pytest.mark.slow
def test_serve_listens_before_the_sdk_is_imported_and_never_refuses_a_connection(tmp_path):
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "a.yaml").write_text("default: true\ninstructions: Hello.\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "HOST": "127.0.0.1", "LOG_FORMAT": "json"}
    said = tmp_path / "log"
    with said.open("wb") as log:
        command = [sys.executable, "-m", "gateway", "serve"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=log)
    try:
        seen: list[int] = []
        refused = 0
        deadline = time.monotonic() + 50
        while 200 not in seen and time.monotonic() < deadline:
            try:
                seen.append(ask(port, "/readyz")[0])
            except ConnectionRefusedError:
                refused += 1
                assert not seen, "it listened, and then did not"
            time.sleep(0.02)
        assert seen[0] == 503
        assert seen[-1] == 200
        assert ask(port, "/healthz")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}
    told = [json.loads(line) for line in said.read_text().splitlines()]
    [serving] = [each for each in told if each["event"] == "serving"]
    assert (serving["port"], serving["lines"]) == (port, ["a"])
    assert serving["calls_from"] == f"the softphone alone, at http://localhost:{port}/console/softphone"
    missing = {each["name"]: (each["level"], each["remedy"]) for each in told if each["event"] == "setting"}
    assert missing["OPENAI_API_KEY"] == ("warning", "set it; or OPENAI_REALTIME_URL to a local one")
    assert missing["TWILIO_AUTH_TOKEN"] == ("info", "set it to take calls from Twilio")
