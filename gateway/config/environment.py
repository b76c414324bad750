"""``${NAME}``: the only way for a secret into a line, and only where secrets and addresses stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from gateway.config.model_options import ModelConfig
from gateway.config.tree import Fields, Leaf, Path, walk
from gateway.config.units import ENVIRONMENT
from gateway.errors import Fault

_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|passw|signature|\bsig\b", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(sk|pk|rk|ek)[-_]\w{8,}|(bearer|basic)\s+\S+|[A-Za-z0-9+/_=-]{32,}", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{[^}]*\}?")


def names_in(tree: Fields) -> set[str]:
    """Return the variables of the environment that a line needs."""
    leaves = [*_leaves(tree)]
    return {match["name"] for path, leaf in leaves if _takes(path) for match in ENVIRONMENT.finditer(str(leaf.value))}


def check_environment(tree: Fields, environment: Mapping[str, str] | None) -> Iterator[Fault]:
    """Go through what is wrong with references to the environment, and with secrets that are none.

    Args:
        tree: a line's file, laid over the defaults.
        environment: what the references are filled in from; None leaves them unchecked (on a machine without secrets).
    """
    yield from check_unread(tree, _takes, "the environment is read in model.url, model.headers and deliver only")
    for path, leaf in _leaves(tree):
        if not _takes(path):
            continue
        yield from _check_references(leaf, environment)
        if path[0] == "model":
            yield from _check_header(leaf, str(path[-1])) if path[1] == "headers" else _check_url(leaf, environment)


def check_unread(tree: Fields, takes: Callable[[Path], bool], remedy: str) -> Iterator[Fault]:
    """Go through references to the environment that stand where none is read."""
    for path, leaf in _leaves(tree):
        if not takes(path) and (match := ENVIRONMENT.search(str(leaf.value))):
            yield leaf.find(match[0]).fault(f"{match[0]} has no meaning here", remedy)


def check_secret(leaf: Leaf, what: str, example: str, environment: Mapping[str, str] | None) -> Iterator[Fault]:
    """Go through what is wrong with a value that must come from the environment as a whole."""
    yield from _check_references(leaf, environment)
    if _REFERENCE.sub("", str(leaf.value)).strip(", ") != "":
        yield leaf.place.fault(f"{what} stands in plain text", f'keep it in the environment: "${{{example}}}"')


def names_in_text(text: str) -> set[str]:
    """Return the variables of the environment that a text refers to."""
    return {match["name"] for match in ENVIRONMENT.finditer(text)}


def fill_model(model: ModelConfig, environment: Mapping[str, str] | None) -> ModelConfig:
    """Return the model with its URL and headers filled in; without an environment, unchanged."""
    if environment is None:
        return model
    headers = {name: SecretStr(fill(value.get_secret_value(), environment)) for name, value in model.headers.items()}
    return model.model_copy(update={"url": model.url and fill(model.url, environment), "headers": headers})


def fill(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with its references to the environment filled in."""
    return ENVIRONMENT.sub(lambda match: environment.get(match["name"], ""), text)


def _leaves(tree: Fields) -> Iterator[tuple[Path, Leaf]]:
    return ((path, leaf) for path, leaf in walk(tree) if isinstance(leaf, Leaf) and isinstance(leaf.value, str))


def _takes(path: Path) -> bool:
    delivered = path[:1] == ("deliver",) and path[-1] in {"webhook", "slack"}
    return delivered or path[:2] in {("model", "url"), ("model", "headers")}


def _check_references(leaf: Leaf, environment: Mapping[str, str] | None) -> Iterator[Fault]:
    for reference in _REFERENCE.findall(str(leaf.value)):
        match = ENVIRONMENT.fullmatch(reference)
        if not match:
            remedy = "write ${NAME}, in capitals, digits and _"
            yield leaf.find(reference).fault(f"{reference} is not a name of the environment", remedy)
        elif environment is not None and match["name"] not in environment:
            remedy = f"set {match['name']} before the gateway starts"
            yield leaf.find(reference).fault(f"{match['name']} is not set in the environment", remedy)


def _check_header(leaf: Leaf, name: str) -> Iterator[Fault]:
    text = str(leaf.value)
    if not _REFERENCE.search(text) and (_SECRET_NAME.search(name) or _SECRET_VALUE.search(text)):
        variable = re.sub(r"\W+", "_", name).upper()
        remedy = f'keep it in the environment: {name}: "${{{variable}}}"'
        yield leaf.place.fault(f"the header {name} holds a secret in plain text", remedy)


def _check_url(leaf: Leaf, environment: Mapping[str, str] | None) -> Iterator[Fault]:
    text = fill(str(leaf.value), environment) if environment is not None else str(leaf.value)
    if text.startswith("${") or (environment is not None and not text):
        return  # What it is shows when it is filled in; that it is missing was said.
    parts = urlsplit(text)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        web = {"http": "ws", "https": "wss"}.get(parts.scheme)
        remedy = f"write {web}://{parts.netloc}{parts.path}" if web else "write wss://host/path"
        yield leaf.place.fault(f"{text!r} is not the address of a WebSocket", remedy)
    literal = [name for name, value in parse_qsl(urlsplit(str(leaf.value)).query) if not _REFERENCE.search(value)]
    if any(_SECRET_NAME.search(name) for name in literal) or (parts.password and "${" not in str(leaf.value)):
        yield leaf.place.fault("the URL holds a secret in plain text", "keep it in the environment: ${NAME}")
