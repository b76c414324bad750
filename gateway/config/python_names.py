"""The user's Python, read without running it: which file a module is in, and which names it defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.config.explain import nearest
from gateway.config.folder import Folder
from gateway.config.tree import Leaf
from gateway.config.units import REFERENCE
from gateway.errors import Fault


def split_reference(text: str) -> tuple[str, str] | None:
    """Return module and name of ``module:name``, or None where the text is none."""
    match = REFERENCE.fullmatch(text)
    return (match["module"], match["name"]) if match else None


def module_file(folder: Path, module: str) -> Path | None:
    """Return the file of a module: ``tools/module.py`` in the folder, or ``module.py`` beside the lines."""
    return next((path for name in candidates(module) if (path := folder / name).is_file()), None)


def candidates(module: str) -> tuple[str, str]:
    """Return where in the folder a module may be."""
    relative = module.replace(".", "/") + ".py"
    return f"tools/{relative}", relative


class UserPython:
    """What the Python files of one snapshot define; a file is read when something first refers to it."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._names: dict[str, Mapping[str, bool] | Fault] = {}

    def check(self, leaf: Leaf, what: str) -> Fault | None:
        """Return what is wrong with a reference ``module:name``; ``what`` is what it should name."""
        text = str(leaf.value)
        reference = split_reference(text)
        if not reference:
            remedy = self.whereabouts(text) or f'write "module:name", {what} in tools/module.py'
            return leaf.place.fault(f"{text!r} does not name {what}", remedy)
        module, name = reference
        file = next((name for name in candidates(module) if name in self._folder.files), None)
        if file is None:
            where = f"no file tools/{module.replace('.', '/')}.py"
            return leaf.place.fault(f"{text!r}: there is {where}", nearest(module, self._modules()) or "write it")
        names = self._defined(file)
        if isinstance(names, Fault):
            return names
        if name not in names:
            public = {known for known, own in names.items() if own and not known.startswith("_")}
            return leaf.place.fault(f"{text!r}: {file} defines no {name}", nearest(name, public) or "write it")
        return None

    def whereabouts(self, name: str) -> str:
        """Return where a bare name is defined, as a remedy."""
        for module in self._modules():
            file = next(file for file in candidates(module) if file in self._folder.files)
            names = self._defined(file)
            if not isinstance(names, Fault) and name in names:
                return f'write "{module}:{name}"'
        return ""

    def _modules(self) -> list[str]:
        python = [name for name in self._folder.files if name.endswith(".py") and not name.endswith("__init__.py")]
        inside = [name.removeprefix("tools/") for name in python if name.startswith("tools/")]
        beside = [name for name in python if "/" not in name]
        return sorted(name.removesuffix(".py").replace("/", ".") for name in inside + beside)

    def _defined(self, file: str) -> Mapping[str, bool] | Fault:
        """Return the names of a file, each with whether it is made there and not only imported."""
        if file not in self._names:
            self._names[file] = _read(self._folder.files[file], self._folder.shown(file))
        return self._names[file]


def _read(content: bytes, shown: str) -> Mapping[str, bool] | Fault:
    try:
        tree = ast.parse(content, filename=shown)
    except SyntaxError as error:
        return Fault(shown, error.lineno or 1, error.offset or 1, f"not Python: {error.msg}", "correct the syntax")
    except ValueError as error:
        return Fault(shown, 1, 1, f"not Python: {error}", "correct the file")
    return {
        name: not isinstance(node, ast.Import | ast.ImportFrom)
        for node in _top_level(tree.body)
        for name in _bound(node)
    }


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Go through what runs at import, with the arms of ``if``, ``try`` and ``with``."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for arm in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, arm, []))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _top_level(handler.body)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
