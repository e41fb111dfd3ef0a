"""``python -m tests.mutants``: hunt every mutant from the first seed on, and print the table; ``--write`` keeps it.

``--measured FILE`` puts the figures of a ``keeper fuzz --json`` into the page instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.mutants.table import counted, measured, rendered, write


def main(arguments: list[str]) -> int:
    """Hunt, and print or write; 1 where a mutant was not caught."""
    if arguments[:1] == ["--measured"]:
        write(measured(json.loads(Path(arguments[1]).read_text(encoding="utf-8"))))
        return 0
    seeds = counted()
    if "--write" in arguments:
        write(rendered(seeds))
    else:
        sys.stdout.write(rendered(seeds) + "\n")
    return 1 if "not caught" in seeds.values() else 0


raise SystemExit(main(sys.argv[1:]))
