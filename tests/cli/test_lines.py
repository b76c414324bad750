import pytest

LINE = """
number: "+14155550100"
label: Desk
instructions: Hi
transfer: {night: {to: "+14155550111"}}
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    folder = tmp_path / "agents_config"
    folder.mkdir()
    (folder / "desk.yaml").write_text(LINE)
    never = 'hours: {open: {2020-01-01: "00:00-00:01"}, closed: {reject: busy}}\n'
    (folder / "shut.yaml").write_text(f"instructions: Ho\n{never}")
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    return folder


def row(gateway, line):
    [found] = [each for each in gateway("lines", "list", "--json").objects if each["line"] == line]
    return found


@pytest.mark.usefixtures("desk")
def test_what_is_set_is_shown_until_it_is_cleared(gateway):
    assert (row(gateway, "desk")["answer"], row(gateway, "desk")["open"]) == ("agent", "always")
    assert (row(gateway, "shut")["answer"], row(gateway, "shut")["open"]) == ("busy", "no")

    ran = gateway("lines", "set", "desk", "--answer", "transfer:night", "--for", "2h")
    assert (ran.status, ran.out.startswith("desk answers with transfer:night until ")) == (0, True)
    shown = row(gateway, "desk")
    assert (shown["answer"], shown["by"].startswith("cli:"), shown["until"] is None) == ("transfer:night", True, False)
    assert gateway("lines", "set", "desk", "--answer", "busy", "--for", "1h").status == 0
    [one] = gateway("lines", "status", "desk", "--json").objects
    assert one["answer"] == "busy"

    assert gateway("lines", "clear", "desk").status == 0
    assert row(gateway, "desk")["answer"] == "agent"
    assert gateway("lines", "clear", "desk").status == 1


@pytest.mark.usefixtures("desk")
def test_tables_for_people(gateway):
    ran = gateway("lines", "list")
    assert "+14155550100" in ran.out
    assert "answer       busy" in gateway("lines", "status", "shut").out


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dsek", "--answer", "busy", "--for", "1h"), "did you mean desk?"),
        (
            ("desk", "--answer", "silence", "--for", "1h"),
            "'silence' is none of agent, transfer:NAME, say:TEXT and busy",
        ),
        (("desk", "--answer", "say:", "--for", "1h"), "is none of agent"),
        (("desk", "--answer", "transfer:nigt", "--for", "1h"), "did you mean night?"),
        (("desk", "--answer", "transfer:+14155550199", "--for", "1h"), "has no transfer target"),
        (("desk", "--answer", "busy", "--for", "2"), "'2' is not a duration"),
        (("desk", "--answer", "busy", "--for", "169h"), "at most 168h"),
        (("desk", "--answer", "busy"), "--for"),
    ],
)
def test_wrong_use_is_status_2_and_says_what_to_write(gateway, arguments, says):
    ran = gateway("lines", "set", *arguments)
    assert ran.status == 2
    assert says in " ".join(ran.err.replace("│", " ").split())
    assert row(gateway, "desk")["by"] is None
