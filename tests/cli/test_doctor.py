"""``gateway doctor`` on its own: settings, lines, the clock, certificates."""

import shutil
import socket
import subprocess
import threading

import httpx2
import pytest

from gateway.checkup.certificate import days_left
from gateway.checkup.public import clock


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    pytest.fail("the server never came")


def test_settings_and_lines_that_can_t_be_read_are_findings(gateway, tmp_path, monkeypatch):
    ran = gateway("doctor", "--json")
    [_, lines] = ran.objects
    assert (ran.status, lines["state"], lines["found"]) == (1, "fault", "the folder does not exist")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "t" * 32)
    ran = gateway("doctor")
    assert ran.status == 1
    assert "GATEWAY_PUBLIC_URL" in ran.out
    assert "GATEWAY_SECRET_KEY" in ran.out


def test_a_clock_that_is_off_is_told():
    wrong = clock(httpx2.Response(200, headers={"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert wrong is not None
    assert wrong.state == "fault"
    assert "ahead" in wrong.found
    assert clock(httpx2.Response(200)) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="LEFT OUT: openssl makes the certificate")
def test_a_certificate_of_nobody_s_is_not_trusted(tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", "key", "-out", "cert"], cwd=tmp_path, check=True, capture_output=True)
    port = free_port()
    server = ["openssl", "s_server", "-accept", str(port), "-key", "key", "-cert", "cert", "-quiet"]
    with subprocess.Popen(server, cwd=tmp_path, stdin=subprocess.PIPE) as running:
        try:
            wait_for(port)
            with pytest.raises(OSError, match="self-signed"):
                days_left("localhost", port)
        finally:
            running.kill()
