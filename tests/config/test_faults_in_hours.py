import pytest

OK = "instructions: Be brief.\n"
OPEN = 'open: {mon-fri: "08:00-18:00"}'


def hours(text):
    return {"a.yaml": f"{OK}hours: {{{text}}}\n"}


CASES = {
    "closed-missing": (hours(OPEN), ["a.yaml:2:1: closed is missing (write closed: under it)"]),
    "open-empty": (
        hours("open: {}, closed: {reject: busy}"),
        ["a.yaml:2:9: there is nothing in it (write something into it, or remove the key)"],
    ),
    "day": (
        hours('open: {mo-fr: "08:00-18:00"}, closed: {reject: busy}'),
        ["a.yaml:2:16: 'mo-fr' names no days (write mon, mon-fri, mon,wed or a date such as 2026-12-24)"],
    ),
    "date": (
        hours("open: {2026-02-30: closed}, closed: {reject: busy}"),
        ["a.yaml:2:16: there is no day 2026-02-30 (write year-month-day, such as 2026-12-24)"],
    ),
    "day-twice": (
        hours('open: {mon-fri: "08:00-18:00", fri: closed}, closed: {reject: busy}'),
        ["a.yaml:2:1: fri is in mon-fri and in fri (write each day once)"],
    ),
    "times": (
        hours("open: {mon: 8-18}, closed: {reject: busy}"),
        ["a.yaml:2:21: '8-18' is no span of time (write it as \"08:00-18:00\", several with commas, or closed)"],
    ),
    "beyond-the-day": (
        hours('open: {mon: "08:00-25:00"}, closed: {reject: busy}'),
        ["a.yaml:2:21: '08:00-25:00' is no span of time (a day ends at 24:00)"],
    ),
    "no-length": (
        hours('open: {mon: "08:00-08:00"}, closed: {reject: busy}'),
        ["a.yaml:2:21: '08:00-08:00' has no length (write \"00:00-24:00\" for the whole day)"],
    ),
    "overlap": (
        hours('open: {mon: "08:00-12:00,11:00-13:00"}, closed: {reject: busy}'),
        ["a.yaml:2:21: '08:00-12:00,11:00-13:00' overlaps itself (write each hour once)"],
    ),
    "times-as-a-number": (
        hours("open: {mon: 8}, closed: {reject: busy}"),
        ['a.yaml:2:21: expected times (write it as "08:00-18:00", several with commas, or closed)'],
    ),
    "country": (
        hours(OPEN + ", holidays: QQ, closed: {reject: busy}"),
        ["a.yaml:2:51: no holidays are known of 'QQ' (write a country (CH), a part of one (CH-ZH) or a date)"],
    ),
    "holidays-as-a-number": (
        hours(OPEN + ", holidays: 7, closed: {reject: busy}"),
        ["a.yaml:2:51: expected a country or dates (write CH, CH-ZH, or a list with dates such as 2026-12-24)"],
    ),
    "outcome": (
        hours(OPEN + ", closed: goodbye"),
        [
            "a.yaml:2:49: 'goodbye' is nothing that can happen (write agent:<name>, transfer:<name>, {say: ...} or {reject: busy})"
        ],
    ),
    "voicemail": (
        hours(OPEN + ", closed: voicemail"),
        ["a.yaml:2:49: not supported yet: voicemail (write transfer:<name>, or {say: ...})"],
    ),
    "reject": (
        hours(OPEN + ", closed: {reject: bussy}"),
        ["a.yaml:2:58: 'bussy' is not one of busy, rejected (did you mean busy?)"],
    ),
    "say-empty": (
        hours(OPEN + ', closed: {say: ""}'),
        ["a.yaml:2:55: the text is empty (write one, or remove the key)"],
    ),
    "no-target": (
        hours(OPEN + ", closed: transfer:desk"),
        ["a.yaml:2:49: there is no transfer target desk (add it to transfer:)"],
    ),
    "no-target-after-words": (
        hours(OPEN + ", closed: {say: Hi, then: transfer:desk}"),
        ["a.yaml:2:65: there is no transfer target desk (add it to transfer:)"],
    ),
    "no-agent": (
        hours(OPEN + ", closed: agent:nihgt"),
        ["a.yaml:2:49: there is no agent nihgt (did you mean night?)"],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files | {"agents/night.yaml": OK}) == faults


def test_a_part_of_a_country_that_has_none(faults_of):
    [fault] = faults_of(hours(OPEN + ", holidays: CH-XX, closed: {reject: busy}"))
    assert fault.startswith("a.yaml:2:51: no holidays are known of CH-XX (parts of CH are ")
