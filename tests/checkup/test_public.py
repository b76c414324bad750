"""What the doctor says of the public URL when something else than the gateway is behind it, or in front of it."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.carriers.twilio.twiml import Links
from gateway.checkup.public import PublicUrl
from gateway.testing.twilio.serving import serving

pytestmark = pytest.mark.anyio


async def said(url, token="t" * 32, stream_url=""):
    async with httpx2.AsyncClient(trust_env=False) as client:
        check = PublicUrl(Links(url, stream_url), token, "AC" + "0" * 32, client).check()
        return {each.subject: (each.state, each.found, each.remedy) async for each in check}


def answering(**statuses):
    """A server that answers each path, and all others, with a status."""

    async def answer(request):
        status = statuses.get(request.url.path.rpartition("/")[2], statuses["others"])
        if status == "signed":
            status = 200 if "x-twilio-signature" in request.headers else 403
        return PlainTextResponse("", status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@pytest.mark.parametrize(
    ("statuses", "subject", "found", "remedy"),
    [
        ({"others": 404}, "public URL", "/healthz answers 404", "leads to something else"),
        ({"others": 200, "status": 403}, "signed request", "was refused", "must be the same here and in the running"),
        ({"others": 200, "status": 502}, "signed request", "answered with 502", "something in front of the gateway"),
        ({"others": 200}, "signed request", "one without signature was answered with 200", "not this gateway"),
        ({"others": 200, "status": "signed"}, "media socket", "refused the upgrade with 200", "pass WebSockets on"),
        ({"others": 200, "media": 403}, "media socket", "refused the upgrade with 403", "must be the same here"),
    ],
    ids=["somebody-else", "other-token", "bad-gateway", "answers-all", "no-websockets", "socket-other-token"],
)
async def test_what_is_in_the_way(statuses, subject, found, remedy):
    async with serving(answering(**statuses)) as url:
        state, what, do = (await said(url))[subject]
    assert state == "fault"
    assert found in what
    assert remedy in do


async def test_what_is_not_there_or_not_set():
    assert (await said(""))["public URL"][0] == "left-out"
    assert (await said("http://gw.example"))["TLS"][:2] == ("fault", "the public URL is not https")
    state, found, remedy = (await said("https://127.0.0.1:9"))["TLS"]
    assert (state, found) == ("fault", "127.0.0.1:9: Connection refused")
    assert "is the port open" in remedy
    async with serving(answering(others=200)) as url:
        assert (await said(url, token=""))["signed request"][0] == "left-out"
        gone = url
        state, found, remedy = (await said(url, stream_url="http://127.0.0.1:9"))["media socket"]
        assert state == "fault"
        assert "Connect" in found
        assert "GATEWAY_STREAM_URL" in remedy
    state, found, remedy = (await said(gone))["public URL"]
    assert state == "fault"
    assert "can't be reached" in found
    assert "gateway serve" in remedy
