"""Values by name that tell a failing test what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")


class Named(dict[str, _T]):
    """A dict whose ``KeyError`` names what it has; ``what`` is the word for one of them."""

    def __init__(self, what: str, values: Mapping[str, _T]) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"no {self._what} is called {name!r}; there are {', '.join(self) or 'none'}")
