import pytest

from gateway.config.addresses import Pattern, normal
from gateway.config.loader import load

LINES = {
    **{
        f"{name}.yaml": "instructions: Be brief.\n"
        for name in ("whole", "long", "short", "every", "sip", "client", "us", "eu")
    },
    "_numbers.yaml": """
accounts:
  us: {sid: AC1, token: "${T1}"}
  eu: {sid: AC2, token: "${T2}"}
numbers:
  "+41445561234": {line: whole, account: eu}
  "+4144556*": {line: long, account: eu}
  "+41*": {line: short, account: eu}
  "*": {line: every, account: us}
  "sip:*@acme.sip.twilio.com": {line: sip, account: eu}
  "sip:boss@acme.sip.twilio.com": {line: whole, account: eu}
  "client:desk": [{line: us, account: us}, {line: eu, account: eu}]
  "client:*": {line: client, account: eu}
""",
}


@pytest.mark.parametrize(
    ("called", "account", "line"),
    [
        ("+41445561234", "AC2", "whole"),
        ("+41445561235", "AC2", "long"),
        ("+41445571234", "AC2", "short"),
        ("+49301234567", "AC2", None),
        ("+41445561234", "AC1", "every"),
        ("+14155550100", "AC1", "every"),
        ("sip:anyone@acme.sip.twilio.com", "AC2", "sip"),
        ("sip:anyone@ACME.sip.twilio.com:5060;transport=tls?x=1", "AC2", "sip"),
        ("SIP:boss;user=phone@acme.sip.twilio.com;transport=tls", "AC2", "whole"),
        ("sip:anyone@other.sip.twilio.com", "AC2", None),
        ("client:desk", "AC1", "us"),
        ("client:desk", "AC2", "eu"),
        ("client:anna", "AC2", "client"),
        ("", "AC2", None),
    ],
)
def test_whole_before_long_before_short_before_none_by_account(write, called, account, line):
    found = load(write(LINES)).find(called, account=account)
    assert (found.id if found else None) == line


def test_the_default_line_answers_what_nothing_claims(write):
    directory = load(write(LINES | {"rest.yaml": "instructions: Be brief.\ndefault: true\n"}))
    found = directory.find("+49301234567", account="AC2")
    assert found
    assert found.id == "rest"


def test_a_line_claims_blocks_and_addresses_by_itself(write):
    numbers = 'numbers: ["+4144*", "sip:*@a.example", "client:desk"]\n'
    directory = load(write({"a.yaml": "instructions: Be brief.\n" + numbers}))
    for called in ("+41445550100", "sip:x@a.example", "client:desk"):
        assert directory.find(called) is directory.lines["a"]
    assert directory.find("+41435550100") is None


@pytest.mark.parametrize(
    ("text", "address", "matches"),
    [
        ("+4144*", "+4144", True),
        ("+4144*", "+4143", False),
        ("sip:a*@x", "sip:a@x", True),
        ("sip:a*z@x", "sip:az@x", True),
        ("sip:az*za@x", "sip:aza@x", False),  # what is before and after may not overlap
        ("*", "", True),
    ],
)
def test_a_star_is_anything_and_nothing(text, address, matches):
    assert Pattern(text).matches(address) is matches


@pytest.mark.parametrize(
    ("address", "compared"),
    [
        ("+14155550100", "+14155550100"),
        ("client:Anna", "client:Anna"),
        ("sip:Anna@HOST", "sip:Anna@host"),
        ("sips:anna;phone-context=x@[::1]:5061;lr", "sips:anna@[::1]"),
        ("sip:host-only", "sip:host-only"),
    ],
)
def test_what_of_an_address_is_compared(address, compared):
    assert normal(address) == compared


def test_a_line_knows_the_addresses_that_the_table_gives_it(write):
    files = {
        "a.yaml": 'instructions: Be brief.\nnumber: "+14155550100"\n',
        "b.yaml": "instructions: Be brief.\n",
        "_numbers.yaml": 'numbers: {"+4144*": {line: a, label: L}, "client:x": {line: a, canary: {line: b, percent: 1}}}\n',
    }
    lines = load(write(files)).lines
    assert lines["a"].numbers == ("+14155550100", "+4144*", "client:x")
    assert lines["b"].numbers == ("client:x",)
