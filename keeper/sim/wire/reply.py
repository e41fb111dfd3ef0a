"""What goes back to a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """An HTTP status, a body, headers. ``dropped`` closes the connection instead of answering."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False
