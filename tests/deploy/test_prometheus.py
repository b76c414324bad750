"""The alert rules and the dashboard, with the real Prometheus where Debian's package is installed."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest

from gateway.telemetry.metrics import Load, Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS, DASHBOARD = DEPLOY / "prometheus" / "alerts.yml", DEPLOY / "grafana" / "dashboard.json"
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="Debian's package prometheus is not installed: rules are not checked"
)


def known_names() -> set[str]:
    text, _ = Metrics("n", lambda: Load({"desk": 1}, 1, draining=False, unwritten={"logs": 0})).exposition()
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.MULTILINE)
    return {
        name + suffix
        for name, kind in families
        for suffix in {"histogram": ("_bucket", "_sum", "_count")}.get(kind, ("",))
    }


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_exist() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = ALERTS.read_text() + " ".join(
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    )
    names = set(re.findall(r"\b(?:gateway|process)_[a-z_]+", asked))
    assert names - known_names() == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    unseen = {
        name.removesuffix("_bucket")
        for name in known_names()
        if name.startswith("gateway_") and not name.endswith(("_sum", "_count", "_created"))
    }
    assert unseen - {name.removesuffix("_bucket").removesuffix("_sum") for name in names} == {
        "gateway_config_swapped_timestamp_seconds"
    }


@needs_prometheus
def test_promtool_finds_nothing_wrong() -> None:
    for command in (
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(
            ["promtool", *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
@pytest.mark.slow
def test_prometheus_scrapes_and_answers_every_question_of_the_dashboard(tmp_path: Path) -> None:
    metrics = Metrics("n1", lambda: Load({"desk": 3}, 10, draining=False))

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text, kind = metrics.exposition()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as page, socket.socket() as free:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        config = config.replace("127.0.0.1:8080", f"127.0.0.1:{page.server_port}").replace("10s", "1s")
        (tmp_path / "prometheus.yml").write_text(config.replace("alerts.yml", str(ALERTS)))
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen(
                ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)  # fmt: skip
        try:
            api = f"http://127.0.0.1:{port}/api/v1"
            deadline = time.monotonic() + 30
            while answer(f"{api}/query", "sum(gateway_calls_live)") != ["3"]:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
            for panel in json.loads(DASHBOARD.read_text())["panels"]:
                for target in panel["targets"]:
                    query = target["expr"].replace("$__rate_interval", "1m").replace("$line", ".*")
                    assert answer(f"{api}/query", query) is not None, query
            rules = httpx2.get(f"{api}/rules").json()["data"]["groups"][0]["rules"]
            assert all(rule["health"] != "err" for rule in rules)
            assert len(rules) == ALERTS.read_text().count("- alert:")
        finally:
            server.terminate()
            server.wait(10)
            page.shutdown()


def answer(url: str, query: str) -> list[str] | None:
    try:
        found = httpx2.get(url, params={"query": query}).json()
    except (httpx2.TransportError, ValueError):
        return None  # it does not listen yet, or says in words that it is starting
    return [each["value"][1] for each in found["data"]["result"]] if found["status"] == "success" else None
