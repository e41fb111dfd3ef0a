"""Frozen values with some fields changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    # To a type checker the two are one: it knows the fields of what is changed.
    from dataclasses import replace as changed
else:
    from dataclasses import replace

    T = TypeVar("T")

    def changed(value: T, **fields: object) -> T:
        """As :func:`dataclasses.replace`; the very same value where every field is that object already.

        Most looks change nothing of what a hedge remembers, and a value of many fields is slow to make anew.
        """
        if all(getattr(value, name) is field for name, field in fields.items()):
            return value
        return replace(value, **fields)


__all__ = ["changed"]
