"""The venue layer: its guard, its budget, what it reads and what it makes of failures."""
