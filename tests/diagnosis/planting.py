"""How a call is written down in which one thing goes wrong."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gateway.call.policy import Target
from gateway.diagnosis.finding import Code
from tests.diagnosis.scenes import Scene

Call: TypeAlias = Callable[[], Scene]
Planted: TypeAlias = dict[str, tuple[Call, Code, Mapping[str, Any]]]
"""By the call's name: the call, what goes wrong in it, and how it is looked at."""
DESK = {"desk": Target("desk", "+14155550111")}


class Planter:
    """Collects the calls of a file."""

    def __init__(self) -> None:
        self.planted: Planted = {}

    def __call__(self, code: Code, **options: Any) -> Callable[[Call], Call]:
        """Say what a call's planted cause is; ``record`` and ``settings`` are how it is looked at."""

        def keep(call: Call) -> Call:
            self.planted[call.__name__] = (call, code, options)
            return call

        return keep
