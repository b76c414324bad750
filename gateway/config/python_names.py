"""The user's Python, read without running it: which file a module is in, and which names it defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.config.units import REFERENCE
from gateway.errors import Fault


@dataclass(frozen=True, slots=True)
class PythonFile:
    """A file of the user's Python: the names at its top level, or the fault that keeps it from being read."""

    path: Path
    names: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    """Those of the names that are ``def`` or ``async def``."""
    fault: Fault | None = None


def split_reference(text: str) -> tuple[str, str] | None:
    """Return module and name of ``module:name``, or None where the text is none."""
    match = REFERENCE.fullmatch(text)
    return (match["module"], match["name"]) if match else None


def module_file(folder: Path, module: str) -> Path | None:
    """Return the file of a module: ``tools/module.py`` in the folder, or ``module.py`` beside the lines."""
    relative = Path(*module.split(".")).with_suffix(".py")
    return next((path for path in (folder / "tools" / relative, folder / relative) if path.is_file()), None)


def modules(folder: Path) -> list[str]:
    """Return the names of all modules that a line may refer to."""
    return sorted(
        {
            ".".join(path.relative_to(root).with_suffix("").parts)
            for root, pattern in ((folder / "tools", "**/*.py"), (folder, "*.py"))
            for path in root.glob(pattern)
            if path.stem != "__init__"
        }
    )


def read_python(path: Path, shown: str) -> PythonFile:
    """Read a Python file's names from its syntax; ``shown`` is how faults call the file."""
    try:
        tree = ast.parse(path.read_bytes(), filename=shown)
    except SyntaxError as error:
        fault = Fault(shown, error.lineno or 1, error.offset or 1, f"not Python: {error.msg}", "it is read, not run")
        return PythonFile(path, fault=fault)
    except (OSError, ValueError) as error:
        return PythonFile(path, fault=Fault(shown, 1, 1, f"can't be read: {error}"))
    statements = [*_top_level(tree.body)]
    functions = {node.name for node in statements if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    names = functions | {name for node in statements for name in _bound(node)}
    return PythonFile(path, frozenset(names), frozenset(functions))


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Go through what runs at import, with the arms of ``if``, ``try`` and ``with``."""
    for node in body:
        yield node
        for arm in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from _top_level(getattr(node, arm, []))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _top_level(handler.body)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
