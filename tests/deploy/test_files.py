"""The files of deploy/, each checked by what can check it here."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from gateway.config.units import parse_duration
from gateway.exchange import LAST_WORDS
from gateway.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMES = {str(field.validation_alias) for field in Settings.model_fields.values()}
TEXT = {"type": "string", "minLength": 1}
FLY = {
    "type": "object",
    "required": ["app", "primary_region", "kill_signal", "kill_timeout", "env", "http_service"],
    "properties": {
        "app": TEXT,
        "kill_signal": {"const": "SIGTERM"},
        "kill_timeout": {"type": "integer", "minimum": 1, "maximum": 300},
        "env": {"type": "object", "additionalProperties": TEXT},
        "http_service": {
            "type": "object",
            "required": ["internal_port", "auto_stop_machines", "checks"],
            "properties": {"auto_stop_machines": {"const": "off"}, "force_https": {"const": True}},
        },
    },
}
RENDER = {
    "type": "object",
    "required": ["services"],
    "properties": {
        "services": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "name", "runtime", "healthCheckPath", "maxShutdownDelaySeconds", "envVars"],
                "properties": {
                    "type": {"const": "web"},
                    "runtime": {"enum": ["docker", "python"]},
                    "maxShutdownDelaySeconds": {"type": "integer", "minimum": 1, "maximum": 300},
                    "envVars": {"type": "array", "items": {"type": "object", "required": ["key"]}},
                },
            },
        }
    },
}
HEROKU = {
    "type": "object",
    "required": ["name", "env", "formation"],
    "properties": {
        "env": {
            "additionalProperties": {
                "type": "object",
                "properties": {"value": TEXT, "description": TEXT, "generator": {"const": "secret"}},
                "additionalProperties": False,
            }
        }
    },
}


def read(name):
    path = DEPLOY / name
    if name.endswith(".toml"):
        return tomllib.loads(path.read_text())
    return json.loads(path.read_text()) if name.endswith(".json") else YAML(typ="safe").load(path.read_text())


def seconds(text):
    value = parse_duration(text)
    assert isinstance(value, float)
    return value


def known(names):
    """Every variable is one that the gateway reads, or the file of one."""
    assert {name.removesuffix("_FILE") for name in names} <= NAMES


def test_fly():
    fly = read("fly/fly.toml")
    Draft202012Validator(FLY).validate(fly)
    known(fly["env"])
    assert int(fly["env"]["PORT"]) == fly["http_service"]["internal_port"]
    assert (DEPLOY / "fly" / fly["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert seconds(fly["env"]["GATEWAY_DRAIN_TIMEOUT"]) + LAST_WORDS < fly["kill_timeout"]


def test_render():
    render = read("render/render.yaml")
    Draft202012Validator(RENDER).validate(render)
    [service] = render["services"]
    values = {each["key"]: each.get("value", "") for each in service["envVars"]}
    known(values)
    assert seconds(values["GATEWAY_DRAIN_TIMEOUT"]) + LAST_WORDS < service["maxShutdownDelaySeconds"]
    assert (DEPLOY.parent / service["dockerfilePath"]).resolve() == DEPLOY / "Dockerfile"


def test_heroku():
    heroku = read("heroku/app.json")
    Draft202012Validator(HEROKU).validate(heroku)
    known(heroku["env"])
    assert seconds(heroku["env"]["GATEWAY_DRAIN_TIMEOUT"]["value"]) + LAST_WORDS < 30
    procfile = dict(line.split(": ") for line in (DEPLOY.parent / "Procfile").read_text().splitlines())
    assert procfile == {"web": "gateway serve", "release": "gateway db upgrade"}


def test_compose():
    compose = read("compose.yaml")
    services = compose["services"]
    known(services["gateway"]["environment"])
    grace = seconds(services["gateway"]["stop_grace_period"])
    assert seconds(services["gateway"]["environment"]["GATEWAY_DRAIN_TIMEOUT"]) + LAST_WORDS < grace
    used = {name for service in services.values() for name in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    assert {
        Path(value).name for value in services["gateway"]["environment"].values() if value.startswith("/run")
    } <= used


def test_compose_by_docker(tmp_path):
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if (
        not shutil.which(command[0])
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("LEFT OUT: docker compose is not here")
    environment = {"PATH": "/usr/bin:/usr/local/bin", "GATEWAY_PUBLIC_URL": "https://x", "TWILIO_ACCOUNT_SID": "AC"}
    ran = subprocess.run(
        [*command, "-f", DEPLOY / "compose.yaml", "config", "--quiet"],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "Unsupported config option" in ran.stderr and command == ["docker-compose"]:
        pytest.skip("LEFT OUT: this docker-compose is of version 1, and does not know the Compose Specification")
    assert ran.returncode == 0, ran.stderr


def test_systemd(tmp_path):
    unit = (DEPLOY / "systemd" / "gateway.service").read_text()
    values = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert (values["Type"], values["ExecReload"]) == ("notify", "/bin/kill -HUP $MAINPID")
    drain = re.search(r"GATEWAY_DRAIN_TIMEOUT=(\w+)", unit)
    assert drain is not None
    minutes = int(values["TimeoutStopSec"].removesuffix("min"))
    assert seconds(drain[1]) + LAST_WORDS < minutes * 60
    known(re.findall(r"\b([A-Z][A-Z_]+)=", values["Environment"]))
    if not shutil.which("systemd-analyze"):
        pytest.skip("LEFT OUT: systemd-analyze is not here")
    # The programs that it names are not installed here, which is no fault of the unit.
    (tmp_path / "gateway.service").write_text(unit.replace("/opt/gateway/bin/gateway", "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "gateway.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in ran.stderr.splitlines() if "gateway.service" in line]
    assert (ran.returncode, said) == (0, [])


def test_dockerfile():
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    names = [name for name, _ in steps]
    assert set(names) <= {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"} | {
        "HEALTHCHECK",
        "CMD",
    }
    last = dict(steps[len(names) - names[::-1].index("FROM") :])
    assert (last["USER"], last["STOPSIGNAL"]) == ("gateway", "SIGTERM")
    assert json.loads(last["CMD"]) == ["gateway", "serve"]
    check = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "healthcheck", "exec")
    for _, sources in (step for step in steps if step[0] == "COPY" and not step[1].startswith("--")):
        assert all((DEPLOY.parent / source).exists() for source in sources.split()[:-1])
    known(re.findall(r"\b((?:GATEWAY|LOG)_[A-Z_]+)=", last["ENV"]))
