"""Public doubles of what nobody here has an account for, written from the documents: Twilio, and a realtime model.

``FakeTwilio`` and ``ScriptedCaller`` are in :mod:`gateway.testing.twilio`, ``ScriptedModel`` in
:mod:`gateway.testing.model`, and ``GatewayProcess`` (the real gateway between the two) in
:mod:`gateway.testing.process`; the most used names are here.
"""

from gateway.testing.model import ScriptedModel
from gateway.testing.process import PUBLIC_URL, VOICE_URL, GatewayProcess
from gateway.testing.twilio import Behaviour, DialOutcome, FakeTwilio, PhoneCall, ScriptedCaller

__all__ = [
    "PUBLIC_URL",
    "VOICE_URL",
    "Behaviour",
    "DialOutcome",
    "FakeTwilio",
    "GatewayProcess",
    "PhoneCall",
    "ScriptedCaller",
    "ScriptedModel",
]
