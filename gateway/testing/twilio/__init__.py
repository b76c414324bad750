"""A carrier made from Twilio's documents: it signs, follows TwiML, plays audio in real time, and keeps the truth."""

from gateway.testing.twilio.account import Account, Alert, Application, Number
from gateway.testing.twilio.behaviour import Behaviour, DialOutcome, Gaps, Marks, Truth
from gateway.testing.twilio.call import CallOverError, Observer, PhoneCall
from gateway.testing.twilio.caller import ScriptedCaller
from gateway.testing.twilio.fake import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from gateway.testing.twilio.log import CallLog
from gateway.testing.twilio.rest import Rest
from gateway.testing.twilio.socket import RawStream, StreamError
from gateway.testing.twilio.sound import Sound, read_wav, silence, tone, write_wav

__all__ = [
    "ACCOUNT_SID",
    "AUTH_TOKEN",
    "Account",
    "Alert",
    "Application",
    "Behaviour",
    "CallLog",
    "CallOverError",
    "DialOutcome",
    "FakeTwilio",
    "Gaps",
    "Marks",
    "Number",
    "Observer",
    "PhoneCall",
    "RawStream",
    "Rest",
    "ScriptedCaller",
    "Sound",
    "StreamError",
    "Truth",
    "read_wav",
    "silence",
    "tone",
    "write_wav",
]
