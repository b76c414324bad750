import gc
import json
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError, Fault
from gateway.realtime.usercode import UserCode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    return tmp_path


def fault_of(code: UserCode, reference: str) -> Fault:
    with pytest.raises(ConfigError) as caught:
        code.get(reference)
    (fault,) = caught.value.faults
    return fault


def test_tools_come_before_files_beside_the_lines(folder: Path) -> None:
    (folder / "shop.py").write_text("WHERE = 'beside'")
    (folder / "tools/shop.py").write_text("WHERE = 'tools'")
    (folder / "other.py").write_text("WHERE = 'beside'")
    code = UserCode(folder)
    assert code.get("shop:WHERE") == "tools"
    assert code.get("other:WHERE") == "beside"


def test_a_module_elsewhere_on_the_path_is_never_taken(folder: Path) -> None:
    """``json`` exists everywhere, and a file of that name in the folder wins without touching the real one."""
    code = UserCode(folder)
    fault = fault_of(code, "json:dumps")
    assert fault.file.endswith("tools/json.py")
    assert "no such file" in fault.message
    (folder / "tools/json.py").write_text("dumps = 'mine'")
    assert code.get("json:dumps") == "mine"
    assert sys.modules["json"] is json


def test_a_reload_sees_new_code_and_old_calls_keep_theirs(folder: Path) -> None:
    file = folder / "tools/shop.py"
    file.write_text("def price(): return 1")
    old = UserCode(folder, "aaaa")
    before = old.get("shop:price")
    file.write_text("def price(): return 2")  # same size, same second: a bytecode cache would not notice
    new = UserCode(folder, "bbbb")
    assert new.get("shop:price")() == 2  # type: ignore[operator]
    assert before() == 1  # type: ignore[operator]
    assert old.get("shop:price") is before
    assert not list(folder.rglob("__pycache__"))


def test_modules_import_each_other_with_a_dot(folder: Path) -> None:
    (folder / "tools/prices.py").write_text("PRICE = 5")
    (folder / "tools/deep").mkdir()
    (folder / "tools/deep/more.py").write_text("from ..prices import PRICE\nMORE = PRICE + 1")
    (folder / "tools/shop.py").write_text("from .prices import PRICE\nfrom .deep.more import MORE")
    code = UserCode(folder)
    assert (code.get("shop:PRICE"), code.get("shop:MORE"), code.get("deep.more:MORE")) == (5, 6, 6)


def test_types_and_dataclasses_work_as_in_any_module(folder: Path) -> None:
    (folder / "tools/shop.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, pickle\n"
        "@dataclasses.dataclass\n"
        "class Order:\n"
        "    number: int\n"
        "COPY = pickle.loads(pickle.dumps(Order(7)))\n"
    )
    assert UserCode(folder).get("shop:COPY").number == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("def find(:\n", 1, "not Python"),
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError"),
        ("\n\nimport no_such_library\n", 3, "no_such_library"),
        ("import sys\nsys.exit(2)\n", 2, "SystemExit"),
        ("raise BaseException('odd')\n", 1, "odd"),
    ],
)
def test_a_module_that_fails_is_a_fault_with_its_line(folder: Path, source: str, line: int, words: str) -> None:
    (folder / "tools/shop.py").write_text(source)
    fault = fault_of(UserCode(folder), "shop:find")
    assert (fault.file, fault.line) == (str(folder / "tools/shop.py"), line)
    assert words in fault.message


def test_a_relative_folder_is_named_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / "tools/shop.py").write_text("1 / 0")
    assert fault_of(UserCode(Path(folder.name)), "shop:x").file == f"{folder.name}/tools/shop.py"


def test_a_wrong_name_suggests_the_right_one(folder: Path) -> None:
    (folder / "tools/shop.py").write_text("def find_order(): ...")
    fault = fault_of(UserCode(folder), "shop:find_orders")
    assert "find_orders" in fault.message
    assert fault.remedy == "did you mean shop:find_order?"


def test_an_absolute_import_of_a_neighbour_says_how_to_write_it(folder: Path) -> None:
    (folder / "tools/neighbour.py").write_text("X = 1")
    (folder / "tools/shop.py").write_text("from neighbour import X")
    assert "from .neighbour import" in fault_of(UserCode(folder), "shop:X").remedy


def test_nothing_is_left_behind(folder: Path) -> None:
    (folder / "tools/shop.py").write_text("X = 1")
    gc.collect()
    finders = len(sys.meta_path)
    code = UserCode(folder, "gone")
    assert code.get("shop:X") == 1
    assert any("agents_config_gone" in name for name in sys.modules)
    del code
    gc.collect()
    assert not any("agents_config_gone" in name for name in sys.modules)
    assert len(sys.meta_path) == finders
