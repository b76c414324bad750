"""Calls in which one thing goes wrong, and the doctor says which."""

from pathlib import Path

import pytest

from tests.diagnosis import planted_line, planted_model, planted_talk
from tests.diagnosis.scenes import found

PLANTED = planted_talk.plant.planted | planted_model.plant.planted | planted_line.plant.planted


@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_cause_is_named(name: str, tmp_path: Path) -> None:
    call, code, options = PLANTED[name]
    scene = call()
    if not scene.over:
        scene.hang_up()
    settings = options.get("settings", {})
    findings = found(scene, tmp_path, record=options.get("record", False), **settings)
    print(name, *(f"\n  {each.at:6.1f} {each.turn} {each.code}: {each.seen} | {each.change}" for each in findings))  # noqa: T201
    assert code in {each.code for each in findings}
    for each in findings:
        assert each.seen
        assert each.change
        assert 0 <= each.at <= scene.now
    assert [each.at for each in findings] == sorted(each.at for each in findings)
