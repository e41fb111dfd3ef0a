"""``python -m keeper``, and the program ``keeper``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it; whoever is interrupted while it loads is told nothing about that."""
    try:
        from keeper.cli import main as command_line
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
