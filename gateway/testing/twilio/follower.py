"""Follows the TwiML of one call: asks webhooks, carries out verbs, goes where actions and REST send it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias
from urllib.parse import urljoin

import anyio
import anyio.abc

from gateway.testing.twilio.account import Application
from gateway.testing.twilio.behaviour import DialOutcome
from gateway.testing.twilio.call import PhoneCall
from gateway.testing.twilio.log import Followed, Warned
from gateway.testing.twilio.network import Network, Signer, new_sid
from gateway.testing.twilio.phone import SAMPLES_PER_MS
from gateway.testing.twilio.sound import babble, decode_wav, is_key, key_tone, silence, tone
from gateway.testing.twilio.status import StatusCallbacks
from gateway.testing.twilio.stream import MediaStream, StreamEnd
from gateway.testing.twilio.twiml import Document, DocumentError, Noun, Verb, parse
from gateway.testing.twilio.webhook import Target, WebhookError, Webhooks

APPLICATION_ERROR = "We are sorry. An application error has occurred. Goodbye."
_NOT_ACTED_OUT = {"Echo", "Gather", "Leave", "Pay", "Record", "Start", "Stop"}

Step: TypeAlias = Callable[[], Awaitable["Step | None"]]
"""Something to do, which gives what to do next; None: the document is at its end."""


class Follower:
    """What the carrier does with one call, until it is over."""

    def __init__(
        self,
        call: PhoneCall,
        *,
        webhooks: Webhooks,
        configured: Application,
        network: Network,
        signer: Signer,
        dials: Mapping[str, DialOutcome],
    ) -> None:
        self._call = call
        self._webhooks = webhooks
        self._configured = configured
        self._network = network
        self._signer = signer
        self._dials = dials
        self._status = StatusCallbacks(
            configured.status, configured.status_events, webhooks, call.behaviour.status_order, call.random
        )
        self._scope = anyio.CancelScope()
        self._moved: Step | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        call.on_interrupt(self._break_off)

    # ---- From ring to end -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry the call to its end."""
        call = self._call
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._status.run)
                self._note("initiated", "initiated")
                self._note("ringing")
                await self._follow(partial(self._fetch, self._configured.voice))
                call.end("twiml")
                self._note("completed")
                self._status.finish()
        finally:
            call.end("twiml")
            call.over.set()

    async def _follow(self, first: Step) -> None:
        step: Step | None = first
        while step is not None and not self._call.is_over:
            following: Step | None = None
            with anyio.CancelScope() as self._scope:
                following = await step()
            step, self._moved = self._moved or following, None

    def redirect(self, to: Target | str, base_url: str = "") -> None:
        """REST sends the call elsewhere: to a webhook, or to the TwiML itself."""
        if isinstance(to, Target):
            self._moved = partial(self._fetch, to)
        else:
            self._moved = partial(self._inline, to, base_url or self._configured.voice_url)
        self._break_off()

    def _break_off(self) -> None:
        self._scope.cancel()

    def _note(self, event: str, status: str = "") -> None:
        parameters = self._call.parameters()
        if status:
            parameters["CallStatus"] = status
        if event == "completed":
            parameters |= {"CallDuration": str(self._call.duration), "Duration": str(-(-self._call.duration // 60))}
        self._status.note(event, parameters)

    def _answer(self) -> None:
        call = self._call
        if call.answered_at is None and not call.is_over:
            call.answer()
            self._note("answered")
            assert self._tasks is not None  # noqa: S101 - set before anything is followed
            self._tasks.start_soon(call.tick)

    # ---- Documents --------------------------------------------------------------------------------------------------

    async def _fetch(self, target: Target, more: Mapping[str, str] | None = None) -> Step | None:
        call = self._call
        twice = call.behaviour.duplicate_webhooks and target.kind == "voice"
        try:
            document = await self._webhooks.document(target, call.parameters() | dict(more or {}), twice=twice)
        except WebhookError as error:
            return self._failed(error, target)
        return partial(self._execute, document)

    async def _inline(self, text: str, base_url: str) -> Step | None:
        try:
            return partial(self._execute, parse(text, base_url))
        except DocumentError as error:
            return self._failed(WebhookError(error.code, str(error)), Target("rest", base_url))

    def _failed(self, error: WebhookError, target: Target) -> Step:
        self._call.fail(error.code, str(error))
        fallback = self._configured.fallback
        if fallback is not None and target.kind != "fallback":
            return partial(self._fetch, fallback, {"ErrorCode": str(error.code), "ErrorUrl": target.url})
        return self._apologize

    async def _apologize(self) -> Step | None:
        """Nothing is left to ask: the carrier's own sentence, and the end."""
        self._answer()
        await self._play(babble(len(APPLICATION_ERROR) * self._call.behaviour.speech_ms_per_character))
        self._call.end("error", "completed")
        return None

    async def _execute(self, document: Document) -> Step | None:
        call = self._call
        for warning in document.warnings:
            call.log.warnings.append(Warned(12200, warning, call.now_ms))
            call.tell("warning", code=12200, message=warning)
        for verb in document.verbs:
            if verb.name != "Reject":
                self._answer()
            nouns = tuple((noun.name, noun.attributes, noun.text) for noun in verb.nouns)
            call.log.verbs.append(Followed(verb.name, verb.attributes, verb.text, call.now_ms, nouns))
            call.tell("verb", verb=verb.name, text=verb.text)
            following = await self._verb(verb, document.base_url)
            if following is not None or call.is_over:
                return following
        return None

    async def _verb(self, verb: Verb, base_url: str) -> Step | None:
        call, attributes = self._call, verb.attributes
        match verb.name:
            case "Say":
                spoken = babble(len(verb.text) * call.behaviour.speech_ms_per_character)
                await self._play(spoken * max(1, int(attributes.get("loop", "1"))))
            case "Play":
                await self._play(await self._sound(verb, base_url))
            case "Pause":
                await self._play(silence(float(attributes.get("length", "1")) * 1000))
            case "Hangup":
                call.end("twiml")
            case "Reject":
                call.end("twiml", "busy" if attributes.get("reason") == "busy" else "failed")
            case "Redirect":
                url = urljoin(base_url, verb.text)
                return partial(self._fetch, Target("redirect", url, attributes.get("method", "POST")))
            case "Connect":
                return await self._connect(verb, base_url)
            case "Dial":
                return await self._dial(verb, base_url)
            case "Refer":
                return await self._refer(verb, base_url)
            case "Enqueue":
                return await self._enqueue(verb, base_url)
            case _:
                call.warn(0, f"this double does not act out <{verb.name}>: it goes on with the next verb")
        return None

    # ---- Sound of the carrier's own ---------------------------------------------------------------------------------

    async def _play(self, sound: bytes) -> None:
        call = self._call
        began = call.clock.samples()
        call.ear.hear(sound, began)
        try:
            await anyio.sleep(len(sound) / SAMPLES_PER_MS / 1000)
        except anyio.get_cancelled_exc_class():
            call.ear.cut(call.clock.samples())
            raise

    async def _sound(self, verb: Verb, base_url: str) -> bytes:
        digits = verb.attributes.get("digits", "")
        if digits:
            return b"".join(key_tone(key) if is_key(key) else silence(500 if key == "w" else 1000) for key in digits)
        target = Target("play", urljoin(base_url, verb.text), "GET")
        try:
            response = await self._webhooks.deliver(target, {})
            return decode_wav(response.content, target.url)
        except (WebhookError, ValueError) as error:
            self._call.fail(getattr(error, "code", 12300), str(error))
            return b""

    # ---- Verbs with an action ---------------------------------------------------------------------------------------

    async def _action(self, verb: Verb, base_url: str, more: Mapping[str, str]) -> Step | None:
        """Ask the verb's action what is next; without one, the next verb is."""
        if "action" not in verb.attributes:
            return None
        target = _action(verb, base_url)
        return partial(self._fetch, target, more)

    async def _broken_off(self, verb: Verb, base_url: str, more: Mapping[str, str]) -> None:
        """The verb was broken off by a redirect or the end: its action may be told, and what it answers is ignored."""
        call, behaviour = self._call, self._call.behaviour
        told = behaviour.action_on_hang_up if call.is_over else behaviour.action_on_redirect
        if not told or "action" not in verb.attributes:
            return
        with anyio.CancelScope(shield=True), suppress(WebhookError):
            await self._webhooks.deliver(_action(verb, base_url), call.parameters() | dict(more))

    async def _connect(self, verb: Verb, base_url: str) -> Step | None:
        noun = next((noun for noun in verb.nouns if noun.name == "Stream"), None)
        if noun is None:
            self._call.warn(12200, "<Connect> without <Stream>")
            return None
        if noun.attributes.get("track", "inbound_track") != "inbound_track":
            self._call.fail(31941, "track of <Connect><Stream> can only be inbound_track")
            return None
        try:
            end = await self._stream(noun, base_url)
        except anyio.get_cancelled_exc_class():
            await self._broken_off(verb, base_url, {})
            raise
        if end.how != "closed" and not self._call.behaviour.action_on_broken_stream:
            return None
        return await self._action(verb, base_url, {})

    async def _stream(self, noun: Noun, base_url: str) -> StreamEnd:
        call = self._call
        url = urljoin(base_url.replace("http", "ws", 1), noun.attributes.get("url", ""))
        stream = MediaStream(
            call,
            number=len(call.streams) + 1,
            url=url,
            parameters=noun.parameters,
            network=self._network,
            signer=self._signer,
            behaviour=call.behaviour,
            truth=call.truth,
            random=call.random,
        )
        call.streams.append(stream)
        call.stream = stream
        callback = _callback(noun, base_url)
        try:
            if callback is None:
                return await stream.run(call.behaviour.stream_signature)
            return await self._observed(stream, callback, noun.attributes.get("name", stream.stream_sid))
        finally:
            call.stream = None

    async def _observed(self, stream: MediaStream, callback: Target, name: str) -> StreamEnd:
        async def say(event: str, error: str = "") -> None:
            parameters = {
                "AccountSid": self._call.account_sid,
                "CallSid": self._call.sid,
                "StreamSid": stream.stream_sid,
                "StreamName": name,
                "StreamEvent": event,
            }
            with suppress(WebhookError):
                await self._webhooks.deliver(callback, parameters | ({"StreamError": error} if error else {}))

        async def started() -> None:
            await stream.opened.wait()
            await say("stream-started")

        error = ""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(started)
                end = await stream.run(self._call.behaviour.stream_signature)
                if end.how != "closed":
                    error = self._call.log.errors[-1].message
                if not stream.opened.is_set():
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await say("stream-error" if error else "stream-stopped", error)
        return end

    async def _dial(self, verb: Verb, base_url: str) -> Step | None:
        noun = verb.nouns[0] if verb.nouns else Noun("Number", {}, verb.text)
        if noun.name in {"Conference", "Queue"}:
            await anyio.sleep_forever()  # until somebody redirects or ends the call
        call, child = self._call, new_sid("CA")
        outcome = call.dials.get(noun.text) or call.dials.get("*") or self._dials.get(noun.text) or DialOutcome()
        call.tell("dial", to=noun.text)
        timeout = float(verb.attributes.get("timeout", "30"))
        status, duration = outcome.status, 0
        try:
            await self._play(tone(2000, 440.0, 480.0)[: round(min(outcome.rings, timeout) * 8000)])
            await self._play(silence(max(0.0, min(outcome.rings, timeout) - 2.0) * 1000))
            if status == "completed" and outcome.rings > timeout:
                status = "no-answer"
            elif status == "completed":
                call.tell("bridged", to=noun.text)
                await self._play(babble(outcome.talks * 1000))
                duration = round(outcome.talks)
        except anyio.get_cancelled_exc_class():
            await self._broken_off(verb, base_url, {"DialCallStatus": "canceled", "DialCallSid": child})
            raise
        result = {"DialCallStatus": status, "DialCallSid": child, "DialBridged": str(status == "completed").lower()}
        if status == "completed":
            result["DialCallDuration"] = str(duration)
        return await self._action(verb, base_url, result)

    async def _refer(self, verb: Verb, base_url: str) -> Step | None:
        call = self._call
        if not call.caller.startswith(("sip:", "sips:")):
            call.fail(0, "<Refer> is for SIP legs only: a call from the telephone network can't be referred")
            return await self._action(verb, base_url, {"ReferCallStatus": "failed"})
        following = await self._action(verb, base_url, {"ReferCallStatus": "completed", "ReferSipResponseCode": "202"})
        if following is None:
            call.end("twiml")
        return following

    async def _enqueue(self, verb: Verb, base_url: str) -> Step | None:
        queue = {"QueueSid": new_sid("QU"), "QueueResult": "hangup", "QueueTime": "0"}
        began = self._call.now_ms
        try:
            result = await self._call.queue_left()
        except anyio.get_cancelled_exc_class():
            await self._broken_off(verb, base_url, queue)
            raise
        waited = str(round((self._call.now_ms - began) / 1000))
        return await self._action(verb, base_url, queue | {"QueueResult": result, "QueueTime": waited})


def _action(verb: Verb, base_url: str) -> Target:
    return Target("action", urljoin(base_url, verb.attributes["action"]), verb.attributes.get("method", "POST"))


def _callback(noun: Noun, base_url: str) -> Target | None:
    url = noun.attributes.get("statusCallback")
    if not url:
        return None
    return Target("stream-status", urljoin(base_url, url), noun.attributes.get("statusCallbackMethod", "POST"))
