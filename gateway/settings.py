"""What the environment says. The only reader of the environment.

Every name may be given as ``NAME_FILE`` instead: a path whose content is the value (Docker and Kubernetes secrets).
A ``.env`` file in the working folder is read too; the real environment wins over it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import PydanticBaseSettingsSource

EX_CONFIG = 78
"""The exit status of a program whose environment is wrong (sysexits.h)."""

_DATABASES = ("sqlite:///", "postgresql://", "postgres://")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Settings(BaseSettings):
    """The gateway's settings, checked; see docs/settings.md for what each is for."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file=".env", case_sensitive=True)

    port: int = Field(8080, validation_alias="PORT", ge=0, le=65535)
    host: str = Field("0.0.0.0", validation_alias="HOST")
    public_url: str = Field("", validation_alias="GATEWAY_PUBLIC_URL")
    stream_url: str = Field("", validation_alias="GATEWAY_STREAM_URL")
    twilio_account_sid: str = Field("", validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_tokens: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="TWILIO_AUTH_TOKEN", repr=False
    )
    twilio_api_base_url: str = Field("https://api.twilio.com", validation_alias="TWILIO_API_BASE_URL")
    openai_api_key: str = Field("", validation_alias="OPENAI_API_KEY", repr=False)
    openai_realtime_url: str = Field("", validation_alias="OPENAI_REALTIME_URL")
    local_llm_url: str = Field("", validation_alias="LOCAL_LLM_URL")
    config_dir: Path = Field(Path("agents_config"), validation_alias="GATEWAY_CONFIG_DIR")
    data_dir: Path = Field(Path("data"), validation_alias="GATEWAY_DATA_DIR")
    metrics_token: str = Field("", validation_alias="GATEWAY_METRICS_TOKEN", repr=False)
    otlp_endpoint: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where OpenTelemetry's collector is; traces go to ``/v1/traces`` there, or to the next in its place."""
    otlp_traces_endpoint: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    otlp_headers: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_HEADERS", repr=False)
    otel_service: str = Field("gateway", validation_alias="OTEL_SERVICE_NAME")
    recordings_url: str = Field("", validation_alias="GATEWAY_RECORDINGS_URL", repr=False)
    database_url: str = Field("", validation_alias="DATABASE_URL", repr=False)
    token: str = Field("", validation_alias="GATEWAY_TOKEN", repr=False)
    """The token with which commands ask a running gateway, through its API."""
    outcome_url: str = Field("", validation_alias="GATEWAY_OUTCOME_URL")
    """Up to and without ``/chat/completions``: who fills outcomes; without it, rules do."""
    outcome_model: str = Field("", validation_alias="GATEWAY_OUTCOME_MODEL")
    outcome_key: str = Field("", validation_alias="GATEWAY_OUTCOME_KEY", repr=False)
    smtp_url: str = Field("", validation_alias="GATEWAY_SMTP_URL", repr=False)
    mail_from: str = Field("", validation_alias="GATEWAY_MAIL_FROM")
    secret_key: bytes = Field(b"", validation_alias="GATEWAY_SECRET_KEY", repr=False)
    max_calls: int = Field(100, validation_alias="GATEWAY_MAX_CALLS", ge=0)
    drain_timeout: float = Field(3600.0, validation_alias="GATEWAY_DRAIN_TIMEOUT", ge=0)
    env: str = Field("", validation_alias="GATEWAY_ENV")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", validation_alias="LOG_LEVEL")
    log_format: Literal["json", "console"] = Field("console", validation_alias="LOG_FORMAT")
    notify_socket: str = Field("", validation_alias="NOTIFY_SOCKET")
    """Where systemd listens; it sets both for its services."""
    without: Annotated[tuple[Literal["metrics", "records"], ...], NoDecode] = Field(
        (), validation_alias="GATEWAY_WITHOUT"
    )
    """What is left out, so that what it costs can be measured."""
    watchdog_usec: int = Field(0, validation_alias="WATCHDOG_USEC", ge=0)
    web_concurrency: int = Field(1, validation_alias="WEB_CONCURRENCY")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        """Let ``NAME_FILE`` stand in for ``NAME``; what a caller passes wins over everything."""
        del file_secret_settings
        return init_settings, lambda: _from_files(settings_cls), env_settings, dotenv_settings

    @field_validator("twilio_auth_tokens", "without", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("drain_timeout", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        """Take a plain number of seconds, or one with a unit: ``90``, ``90s``, ``30m``, ``1h``."""
        if isinstance(value, str):
            for unit in ("ms", "s", "m", "h"):
                number = value.strip().removesuffix(unit)
                if number != value.strip() and number.replace(".", "", 1).isdigit():
                    return float(number) * _UNITS[unit]
        return value

    @field_validator("public_url", "stream_url", "twilio_api_base_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def answers_twilio(self) -> bool:
        """Whether carrier traffic can be verified at all; without it, it is refused."""
        return bool(self.twilio_auth_tokens)

    @property
    def media_url(self) -> str:
        """Where the carrier's streams connect: the WebSocket form of the stream's or public URL."""
        url = self.stream_url or self.public_url
        return url.replace("https://", "wss://", 1).replace("http://", "ws://", 1)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Args:
        environment: values to use instead of the process's environment and ``.env``; for tests and tools.

    Raises:
        SettingsError: something is missing, malformed or contradictory; one line for each fault, naming the variable.
    """
    try:
        settings = Settings() if environment is None else Settings(_env_file=None, **dict(environment))  # type: ignore[call-arg, arg-type]
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None
    faults = [*_faults(settings)]
    if faults:
        raise SettingsError("\n".join(faults))
    return settings if settings.secret_key else settings.model_copy(update={"secret_key": _own_secret(settings)})


def environment() -> Mapping[str, str]:
    """Return the process's environment over that of ``.env``: what ``${NAME}`` in a line's file is filled in from."""
    return {name: value for name, value in dotenv_values(".env").items() if value is not None} | dict(os.environ)


def _from_files(settings_cls: type[BaseSettings]) -> dict[str, str]:
    values = {}
    for field in settings_cls.model_fields.values():
        name = str(field.validation_alias)
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            continue
        if name in os.environ:
            raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them")
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE: can't read {path}: {error.strerror}") from error
    return values


def _explain(fault: Any) -> str:
    name = fault["loc"][0] if fault["loc"] else "environment"
    given, limits = fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "int_parsing":
            what = f"{given!r} is not a whole number"
        case "float_parsing":
            what = f"{given!r} is not a duration; write a number and ms, s, m or h, such as 30m"
        case "less_than_equal":
            what = f"{given} is too much; {limits['le']} is the most"
        case "greater_than_equal":
            what = f"{given} is too little; {limits['ge']} is the least"
        case "literal_error":
            what = f"{given!r} is none of {limits['expected'].replace(' or ', ', ')}"
        case _:
            what = fault["msg"]
    return f"{name}: {what}"


def _faults(settings: Settings) -> list[str]:
    faults = []
    if settings.web_concurrency != 1:
        faults.append("WEB_CONCURRENCY: the gateway runs as one process; start several on ports of their own instead")
    for name, url, schemes in (
        ("GATEWAY_PUBLIC_URL", settings.public_url, {"http", "https"}),
        ("GATEWAY_STREAM_URL", settings.stream_url, {"http", "https", "ws", "wss"}),
        ("TWILIO_API_BASE_URL", settings.twilio_api_base_url, {"http", "https"}),
        ("OPENAI_REALTIME_URL", settings.openai_realtime_url, {"ws", "wss"}),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otlp_endpoint, {"http", "https"}),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", settings.otlp_traces_endpoint, {"http", "https"}),
        ("GATEWAY_OUTCOME_URL", settings.outcome_url, {"http", "https"}),
        ("GATEWAY_SMTP_URL", settings.smtp_url, {"smtp", "smtps"}),
    ):
        if url and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
            faults.append(f"{name}: {url!r} is not a URL that begins with {' or '.join(sorted(schemes))}://")
    if settings.database_url and not settings.database_url.startswith(_DATABASES):
        faults.append(f"DATABASE_URL: must begin with {', '.join(_DATABASES[:-1])} or {_DATABASES[-1]}")
    if settings.outcome_url and not settings.outcome_model:
        faults.append("GATEWAY_OUTCOME_MODEL: required with GATEWAY_OUTCOME_URL; the name of the model there")
    if settings.answers_twilio:
        if not settings.public_url:
            faults.append("GATEWAY_PUBLIC_URL: required with TWILIO_AUTH_TOKEN; the https URL that Twilio calls")
        elif _is_plain(settings.public_url):
            faults.append("GATEWAY_PUBLIC_URL: must begin with https:// (Twilio signs and streams over TLS only)")
        elif "/twilio" in urlsplit(settings.public_url).path:
            host = settings.public_url.partition("/twilio")[0]
            faults.append(f"GATEWAY_PUBLIC_URL: write {host} alone; what follows is added for each webhook")
        if not settings.secret_key:
            faults.append("GATEWAY_SECRET_KEY: required with TWILIO_AUTH_TOKEN; make one with: openssl rand -hex 32")
        elif len(settings.secret_key) < 16:  # noqa: PLR2004 - 128 bits, the least that HMAC-SHA256 keys should have
            faults.append("GATEWAY_SECRET_KEY: shorter than 16 characters; make one with: openssl rand -hex 32")
    return faults


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}


def _own_secret(settings: Settings) -> bytes:
    """Return this data folder's own secret, made on first use; enough where no carrier's calls are taken."""
    path = settings.data_dir / "secret_key"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(f"GATEWAY_DATA_DIR: can't write to {settings.data_dir}: {error.strerror}") from error
    return path.read_bytes().strip()
