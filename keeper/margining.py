"""Reads the margin of a venue's accounts as a part of every look."""

from __future__ import annotations

from keeper.core.margins import margin_source
from keeper.core.model import Gap
from keeper.doubt import Gathered
from keeper.venue.base import Observer, VenueError
from keeper.venue.further import Margins, NotOfferedError


async def read_margins(look: Gathered, venue: str, observer: Observer) -> None:
    """Add what the venue shows; a reading that failed is a gap of its own that no cover waits for.

    Whether shorts may be opened where nothing is known is the configuration's to say.
    """
    if not isinstance(observer, Margins):
        return
    try:
        look.margins += await observer.margins()
    except NotOfferedError:
        return
    except VenueError as error:
        look.gaps.append(Gap(margin_source(venue), error.code, str(error)))
