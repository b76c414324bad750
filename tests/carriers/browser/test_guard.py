"""Who may use the softphone: this machine, from a page of ours, and nobody who only looks like it."""

import pytest
from starlette.datastructures import Headers

from gateway.carriers.browser.guard import refusal

OURS = {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}


def why(peer="127.0.0.1", *, acts, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return refusal(peer, Headers(named), acts=acts)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.0.0.1", "LOCALHOST"])
def test_a_page_of_this_machine_may_act(host):
    assert why(host=host, origin=f"http://{host}", acts=True) == ""


@pytest.mark.parametrize("client", ["::1", "127.9.9.9", "::ffff:127.0.0.1"])
def test_loopback_has_several_addresses(client):
    assert why(client, **OURS, acts=True) == ""


@pytest.mark.parametrize("client", ["10.0.0.7", "203.0.113.9", "::ffff:203.0.113.9", "testclient", ""])
def test_nobody_else_may_even_look(client):
    assert why(client, **OURS, acts=False) == "not-this-machine"


@pytest.mark.parametrize("host", ["gw.example", "127.0.0.1.evil.example", "evil.example:8080", "", "[::1", "10.0.0.1", "localhost.evil.example"])  # fmt: skip
def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    assert why(host=host, acts=False) == "foreign-host"


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "cf_connecting_ip", "via", "x_real_ip"])
def test_what_came_through_a_tunnel_or_proxy_is_refused_although_it_comes_from_here(header):
    assert why(**OURS, **{header: "203.0.113.9"}, acts=False) == "through-a-proxy"


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (None, "no-origin"),
        ("null", "foreign-origin"),
        ("http://evil.example", "foreign-origin"),
        ("http://127.0.0.1:9999", "foreign-origin"),
        ("http://127.0.0.1:8080.evil.example", "foreign-origin"),
        ("http://localhost:8080", "foreign-origin"),
    ],
)
def test_a_page_of_somebody_else_may_not_act(origin, reason):
    assert why(host="127.0.0.1:8080", origin=origin, acts=True) == reason


def test_a_person_may_open_the_page_by_its_address():
    assert why(host="localhost:8080", acts=False) == ""
