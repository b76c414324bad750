import pytest

from gateway.config.loader import load

A = "instructions: Be brief.\nvars: {site: Bern}\n"
ACCOUNTS = 'accounts:\n  us: {sid: AC1, token: "${T}"}\n  eu: {sid: AC2, token: "${T}"}\n'


def table(text, **lines):
    return {"a.yaml": A, "b.yaml": A, "_numbers.yaml": text} | {f"{name}.yaml": line for name, line in lines.items()}


CASES = {
    "unknown-key": (
        table("nubmers: {}\n"),
        ["_numbers.yaml:1:1: unknown key nubmers (did you mean numbers?)"],
    ),
    "schema": (
        table("schema: 2\n"),
        ["_numbers.yaml:1:9: 2 is not one of 1 (write one of them)"],
    ),
    "unknown-line": (
        table('numbers:\n  "+14155550100": {line: aa}\n'),
        ["_numbers.yaml:2:26: there is no line aa (did you mean a?)"],
    ),
    "no-line": (
        table('numbers:\n  "+14155550100": {label: A}\n'),
        ["_numbers.yaml:2:3: line is missing (write line: under it)"],
    ),
    "row-is-a-text": (
        table('numbers:\n  "+14155550100": a\n'),
        ["_numbers.yaml:2:19: expected keys, found 'a' (write key: value, indented)"],
    ),
    "not-a-number": (
        table('numbers:\n  "4155550100": {line: a}\n'),
        [
            "_numbers.yaml:2:3: '4155550100' has no country code (E.164 begins with + and the country's code, as in +14155550100)"
        ],
    ),
    "two-stars": (
        table('numbers:\n  "+41*5*": {line: a}\n'),
        ["_numbers.yaml:2:3: '+41*5*' has more than one * (write one; it stands for anything, also for nothing)"],
    ),
    "star-inside": (
        table('numbers:\n  "+41*5": {line: a}\n'),
        ["_numbers.yaml:2:3: '+41*5' is not a block of numbers (write the beginning in E.164 and *: \"+4144556*\")"],
    ),
    "no-address": (
        table('numbers:\n  "sip:desk": {line: a}\n'),
        ["_numbers.yaml:2:3: 'sip:desk' is not an address (write sip:name@host, or client:name)"],
    ),
    "the-same-number-twice": (
        table('numbers:\n  "+14155550100": {line: a}\n  "+14155550100": {line: b}\n'),
        ["_numbers.yaml:3:3: the key +14155550100 is given twice (the first is in line 2)"],
    ),
    "claimed-by-a-line-too": (
        table('numbers:\n  "+14155550100": {line: a}\n', b=A + 'number: "+14155550100"\n'),
        ["_numbers.yaml:2:3: +14155550100 is claimed by the line b as well, at b.yaml:3:9 (keep one of the two)"],
    ),
    "the-same-address-written-otherwise": (
        table('numbers:\n  "sip:x@Host": {line: a}\n  "sip:x@host:5060": {line: b}\n'),
        ["_numbers.yaml:3:3: sip:x@host is claimed by the line a as well, at _numbers.yaml:2:3 (keep one of the two)"],
    ),
    "the-same-account-twice": (
        table(ACCOUNTS + 'numbers:\n  "client:x": [{line: a, account: us}, {line: b, account: us}]\n'),
        ["_numbers.yaml:5:40: client:x is claimed by the line a as well, at _numbers.yaml:5:16 (keep one of the two)"],
    ),
    "which-account": (
        table(ACCOUNTS + 'numbers:\n  "+14155550100": {line: a}\n'),
        ["_numbers.yaml:5:3: which account is the number of? (add account: us or eu)"],
    ),
    "unknown-account": (
        table(ACCOUNTS + 'numbers:\n  "+14155550100": {line: a, account: ue}\n'),
        ["_numbers.yaml:5:38: there is no account ue (there is eu, us)"],
    ),
    "account-without-accounts": (
        table('numbers:\n  "+14155550100": {line: a, account: us}\n'),
        ["_numbers.yaml:2:38: there is no account us (write it under accounts:)"],
    ),
    "literal-token": (
        table("accounts:\n  us: {sid: AC1, token: 0123456789abcdef0123456789abcdef}\n"),
        [
            '_numbers.yaml:2:25: the token of the account us stands in plain text (keep it in the environment: "${TWILIO_TOKEN}")'
        ],
    ),
    "half-literal-token": (
        table('accounts:\n  us: {sid: AC1, token: "${T}, abc"}\n'),
        [
            '_numbers.yaml:2:25: the token of the account us stands in plain text (keep it in the environment: "${TWILIO_TOKEN}")'
        ],
    ),
    "malformed-reference": (
        table('accounts:\n  us: {sid: AC1, token: "${t}"}\n'),
        ["_numbers.yaml:2:26: ${t} is not a name of the environment (write ${NAME}, in capitals, digits and _)"],
    ),
    "reference-elsewhere": (
        table('accounts:\n  us: {sid: "${SID}", token: "${T}"}\n'),
        [
            "_numbers.yaml:2:13: '${SID}' is not an account's sid (it begins with AC; Twilio's console shows it)",
            "_numbers.yaml:2:14: ${SID} has no meaning here (the environment is read in the tokens of accounts only)",
        ],
    ),
    "region-without-edge": (
        table('accounts:\n  us: {sid: AC1, token: "${T}", region: ie1}\n'),
        ["_numbers.yaml:2:3: region is given without edge (requests need both: add edge, such as dublin)"],
    ),
    "account-without-a-token": (
        table("accounts:\n  us: {sid: AC1}\n"),
        ["_numbers.yaml:2:3: token is missing (write token: under it)"],
    ),
    "what-a-row-can-not-override": (
        table('numbers:\n  "+14155550100": {line: a, model: {voice: cedar}}\n'),
        [
            "_numbers.yaml:2:29: a number can't override model; it can label, language, vars, timezone, hours, greeting, transfer, limits, recording (write it in the line, or in another line)"
        ],
    ),
    "unknown-in-a-row": (
        table('numbers:\n  "+14155550100": {line: a, lable: A}\n'),
        ["_numbers.yaml:2:29: unknown key lable in numbers.+14155550100 (did you mean label?)"],
    ),
    "wrong-in-a-row": (
        table('numbers:\n  "+14155550100": {line: a, limits: {silence: 60}}\n'),
        ['_numbers.yaml:2:47: 60 has no unit (write "60s" for seconds; units are ms, s, m and h)'],
    ),
    "missing-in-what-a-row-makes": (
        table('numbers:\n  "+14155550100": {line: a, transfer: {desk: {timeout: 5s}}}\n'),
        ["_numbers.yaml:2:40: to is missing (write to: under it; or workflow:)"],
    ),
    "not-yet-in-a-row": (
        table('numbers:\n  "+14155550100": {line: a, transfer: {desk: {to: "+14155550111", mode: warm}}}\n'),
        ["_numbers.yaml:2:67: not supported yet: warm transfer (mode: warm) (write mode: cold, or remove it)"],
    ),
    "variable-removed-by-a-row": (
        table('numbers:\n  "+14155550100": {line: c, vars: null}\n', c=A + "greeting: Hi {{site}}.\n"),
        [
            "c.yaml:3:14: {{site}} is not a variable of this line, for the number +14155550100 (there is label, language, line, timezone; or add it to vars:)"
        ],
    ),
    "prompt-missing-in-a-rows-language": (
        table('numbers:\n  "+14155550100": {line: c, language: de-CH}\n', c="instructions: file:p.{{language}}.md\n")
        | {"p.en-US.md": "Hi\n"},
        ["c.yaml:1:15: there is no file p.de-CH.md, for the number +14155550100 (did you mean p.en-US.md?)"],
    ),
    "canary-of-itself": (
        table('numbers:\n  "+14155550100": {line: a, canary: {line: a, percent: 10}}\n'),
        ["_numbers.yaml:2:44: the canary of a is a itself (name another line)"],
    ),
    "canary-without-a-line": (
        table('numbers:\n  "+14155550100": {line: a, canary: {line: c, percent: 10}}\n'),
        ["_numbers.yaml:2:44: there is no line c (there is a, b)"],
    ),
    "canary-percent": (
        table('numbers:\n  "+14155550100": {line: a, canary: {line: b, percent: 101}}\n'),
        ["_numbers.yaml:2:56: 101 is out of range (it is at most 100.0)"],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults


def test_an_environment_needs_a_table_of_its_own(faults_of):
    files = table("numbers: {}\n")
    [fault] = faults_of(files, {"GATEWAY_ENV": "staging"})
    assert fault == (
        "_numbers.staging.yaml:1:1: GATEWAY_ENV is staging, and there is no _numbers.staging.yaml "
        "(write it, or change GATEWAY_ENV; there is _numbers.yaml)"
    )


def test_without_tables_any_environment_will_do(write):
    assert load(write({"a.yaml": A}), {"GATEWAY_ENV": "staging"}).lines


def test_a_token_must_be_set_where_it_is_filled_in(faults_of):
    [fault] = faults_of(table('accounts: {us: {sid: AC1, token: "${TWILIO_US}"}}\n'), {})
    assert "TWILIO_US is not set in the environment (set TWILIO_US before the gateway starts)" in fault


def test_accounts_are_filled_in_and_not_shown(write):
    files = table(
        'accounts: {us: {sid: AC1, token: "${T}", region: ie1, edge: dublin}}\nnumbers: {"+1415*": {line: a}}\n'
    )
    directory = load(write(files), {"T": "hunter2, hunter3"})
    account = directory.accounts["us"]
    assert (account.tokens, account.region, account.edge) == (("hunter2", "hunter3"), "ie1", "dublin")
    assert "hunter" not in repr(directory)
    assert [{*directory.environment[name]} for name in ("a", "b")] == [{"T"}, set()]
    claim = directory.claim("+14155550100", "AC1")
    assert claim
    assert (claim.account, claim.account_sid) == ("us", "AC1")
