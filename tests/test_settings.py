import pytest

from gateway.errors import SettingsError
from gateway.settings import read_settings

TWILIO = {
    "TWILIO_AUTH_TOKEN": "one, two",
    "GATEWAY_PUBLIC_URL": "https://gw.example/",
    "GATEWAY_SECRET_KEY": "0123456789abcdef",
}


@pytest.fixture(autouse=True)
def _an_empty_environment(monkeypatch, tmp_path):
    for name in ("PORT", "TWILIO_AUTH_TOKEN", "OPENAI_API_KEY", "GATEWAY_PUBLIC_URL", "GATEWAY_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing(tmp_path):
    settings = read_settings({})
    assert (settings.port, settings.host, settings.max_calls) == (8080, "0.0.0.0", 100)
    assert not settings.answers_twilio
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert read_settings({}).secret_key == settings.secret_key  # kept, not made anew


def test_tokens_are_a_list_during_rotation():
    settings = read_settings(TWILIO)
    assert settings.twilio_auth_tokens == ("one", "two")
    assert settings.public_url == "https://gw.example"
    assert settings.media_url == "wss://gw.example"


def test_secrets_stay_out_of_the_repr():
    text = repr(read_settings(TWILIO | {"OPENAI_API_KEY": "sk-secret"}))
    assert not any(secret in text for secret in ("one", "sk-secret", "0123456789abcdef"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"PORT": "eighty"}, "PORT: 'eighty' is not a whole number"),
        ({"PORT": "70000"}, "PORT: 70000 is too much; 65535 is the most"),
        ({"WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY: "),
        ({"GATEWAY_PUBLIC_URL": "gw.example"}, "GATEWAY_PUBLIC_URL: "),
        ({"GATEWAY_PUBLIC_URL": ""}, "GATEWAY_PUBLIC_URL: required"),
        ({"GATEWAY_PUBLIC_URL": "http://gw.example"}, "must begin with https://"),
        (
            {"GATEWAY_PUBLIC_URL": "https://gw.example/twilio/voice"},
            "GATEWAY_PUBLIC_URL: write https://gw.example alone",
        ),
        ({"GATEWAY_SECRET_KEY": ""}, "GATEWAY_SECRET_KEY: required"),
        ({"GATEWAY_SECRET_KEY": "short"}, "GATEWAY_SECRET_KEY: shorter"),
        ({"OPENAI_REALTIME_URL": "https://x.example"}, "OPENAI_REALTIME_URL: "),
        ({"TWILIO_API_BASE_URL": "api.twilio.com"}, "TWILIO_API_BASE_URL: "),
        ({"GATEWAY_STREAM_URL": "ftp://x"}, "GATEWAY_STREAM_URL: "),
        ({"GATEWAY_MAX_CALLS": "-1"}, "GATEWAY_MAX_CALLS: -1 is too little; 0 is the least"),
        ({"GATEWAY_DRAIN_TIMEOUT": "soon"}, "GATEWAY_DRAIN_TIMEOUT: 'soon' is not a duration; write"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: 'loud' is none of 'debug', 'info', 'warning', 'error'"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT: "),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable(changes, says):
    with pytest.raises(SettingsError) as refused:
        read_settings(TWILIO | changes)
    assert len(str(refused.value).splitlines()) == 1
    assert says in str(refused.value)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("500ms", 0.5)])
def test_a_duration_may_carry_its_unit(text, seconds):
    assert read_settings({"GATEWAY_DRAIN_TIMEOUT": text}).drain_timeout == seconds


def test_a_secret_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("sk-from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    assert read_settings().openai_api_key == "sk-from-file"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    with pytest.raises(SettingsError, match="both set"):
        read_settings()


def test_a_missing_secret_file_is_said(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "/nowhere/key")
    with pytest.raises(SettingsError, match="OPENAI_API_KEY_FILE: can't read /nowhere/key"):
        read_settings()


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\nOPENAI_API_KEY=sk-dotenv\n")
    monkeypatch.setenv("PORT", "9001")
    settings = read_settings()
    assert (settings.port, settings.openai_api_key) == (9001, "sk-dotenv")
