"""What is wrong with the ways that a call comes and goes: targets, TwiML of the operator's own, the way back."""

import pytest

from gateway.config.returns import may_return

OK = "instructions: Be brief.\n"
FLOW = "https://webhooks.twilio.com/v1/Accounts/AC0/Flows/FW0?FlowEvent=return"
WORKFLOW = "WW" + "0" * 32


def twiml(content):
    return {"a.yaml": OK + "twiml: twiml/x.xml\n", "twiml/x.xml": content}


CASES = {
    "both": (
        {"a.yaml": OK + f'transfer: {{flex: {{to: "+14155550111", workflow: {WORKFLOW}}}}}\n'},
        ["a.yaml:2:12: both to and workflow are given (keep one of the two)"],
    ),
    "workflow-sid": (
        {"a.yaml": OK + "transfer: {flex: {workflow: support}}\n"},
        ["a.yaml:2:29: 'support' is no workflow's sid (write WW and 32 hexadecimal digits, as TaskRouter shows it)"],
    ),
    "attributes-without-workflow": (
        {"a.yaml": OK + 'transfer: {desk: {to: "+14155550111", attributes: {skill: billing}}}\n'},
        ["a.yaml:2:12: attributes and priority belong to a workflow (remove them, or write workflow:)"],
    ),
    "attributes-too-long": (
        {"a.yaml": OK + f"transfer: {{flex: {{workflow: {WORKFLOW}, attributes: {{story: {'x' * 1100}}}}}}}\n"},
        ["a.yaml:2:12: the attributes are longer than 1024 characters of JSON (the carrier takes no more)"],
    ),
    "attributes-variable": (
        {"a.yaml": OK + f"transfer: {{flex: {{workflow: {WORKFLOW}, attributes: {{who: '{{{{caller}}}}'}}}}}}\n"},
        [
            "a.yaml:2:84: {{caller}} is not a variable of this line (there is label, language, line, timezone; or add it to vars:)"
        ],
    ),
    "refer-to-a-phone": (
        {"a.yaml": OK + 'transfer: {desk: {to: "+14155550111", mode: refer}}\n'},
        ["a.yaml:2:12: mode: refer needs a SIP address (write to: sip:name@host, or mode: cold)"],
    ),
    "app-sid": (
        {"a.yaml": OK + "transfer: {app: {to: 'app:mine'}}\n"},
        ["a.yaml:2:22: 'app:mine' is not a TwiML App (write app: and its sid, AP and 32 hexadecimal digits)"],
    ),
    "note-without-notes": (
        {"a.yaml": OK + "tools: [note]\n"},
        [
            "a.yaml:2:9: the line a has nothing to note (add notes: {name: what belongs there} to the line, or remove the tool)"
        ],
    ),
    "note-with-our-name": (
        {"a.yaml": OK + "notes: {result: how it went}\n"},
        ["a.yaml:2:9: result is what the gateway itself adds (choose another name)"],
    ),
    "return-to-a-stranger": (
        {"a.yaml": OK + "return_to: https://evil.example/flow\n"},
        [
            (
                "a.yaml:2:12: calls may not be given back to https://evil.example/flow"
                " (write an https address of webhooks.twilio.com, or of a host in return_hosts)"
            )
        ],
    ),
    "twiml-file": (
        {"a.yaml": OK + "twiml: twiml/y.xml\n", "twiml/x.xml": "<Response>{{connect}}</Response>"},
        ["a.yaml:2:8: there is no file twiml/y.xml (did you mean twiml/x.xml?)"],
    ),
    "twiml-no-xml": (
        twiml("<Response>\n  <Say>Bed & breakfast</Say>{{connect}}</Response>"),
        ["twiml/x.xml:2:13: not XML: not well-formed (invalid token) (close every element; write & as &amp;)"],
    ),
    "twiml-root": (
        twiml("<TwiML>{{connect}}</TwiML>"),
        ["twiml/x.xml:1:1: the root is <TwiML> (TwiML is one <Response>)"],
    ),
    "twiml-no-placeholder": (
        twiml("<Response><Say>Hello</Say></Response>"),
        [
            "twiml/x.xml:1:1: {{connect}} is missing (write {{connect}} where the caller is to be connected to the agent)"
        ],
    ),
    "twiml-twice": (
        twiml("<Response>{{connect}}<!-- and -->{{connect}}</Response>"),
        ["twiml/x.xml:1:34: {{connect}} is there twice (keep one)"],
    ),
    "twiml-within": (
        twiml("<Response><Gather>{{connect}}</Gather>\n{{connect}}</Response>"),
        ["twiml/x.xml:1:19: {{connect}} stands within a verb (put it right within <Response>)"],
    ),
    "twiml-verb": (
        twiml("<Response><say>Hello</say>{{connect}}</Response>"),
        ["twiml/x.xml:1:11: <say> is no verb of TwiML (did you mean Say?)"],
    ),
    "twiml-after": (
        twiml("<Response>{{connect}}\n<Hangup/></Response>"),
        ["twiml/x.xml:2:1: <Hangup> comes after {{connect}} and is never reached (put it before, or remove it)"],
    ),
    "twiml-before": (
        twiml("<Response><Redirect>/x</Redirect>{{connect}}</Response>"),
        ["twiml/x.xml:1:11: <Redirect> keeps the call from ever getting to {{connect}} (remove it)"],
    ),
    "twiml-action": (
        twiml("<Response><Gather action='/x'/>{{connect}}</Response>"),
        ["twiml/x.xml:1:11: with an action the document does not go on after <Gather> (remove action)"],
    ),
    "twiml-text": (
        twiml("<Response>Hello {{connect}}</Response>"),
        ["twiml/x.xml:1:11: text that nobody speaks: 'Hello {{connect}}' (put it into <Say>)"],
    ),
    "twiml-doctype": (
        twiml('<!DOCTYPE x [<!ENTITY y "z">]><Response>{{connect}}</Response>'),
        ["twiml/x.xml:1:13: a document type has no place in TwiML (remove <!DOCTYPE ...>)"],
    ),
    "twiml-variable": (
        twiml("<Response><Say>{{nmae}}</Say>{{connect}}</Response>"),
        [
            "twiml/x.xml:1:16: {{nmae}} is not a variable of this line (there is label, language, line, timezone; or add it to vars:)"
        ],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (FLOW, True),
        ("https://webhooks.twilio.com:443/x", True),
        ("https://ivr.acme.example/back?x=1", True),
        ("http://webhooks.twilio.com/x", False),
        ("https://webhooks.twilio.com.evil.example/x", False),
        ("https://webhooks.twilio.com@evil.example/x", False),
        ("https://x:y@webhooks.twilio.com/x", False),
        ("https://webhooks.twilio.com:8443/x", False),
        ("https://webhooks.twilio.com:x/", False),
        ("//webhooks.twilio.com/x", False),
        ("https://webhooks.twilio.com/a b", False),
        ("", False),
    ],
)
def test_calls_go_back_to_studio_and_to_listed_hosts_only(url, allowed):
    assert may_return(url, ("ivr.acme.example",)) is allowed
