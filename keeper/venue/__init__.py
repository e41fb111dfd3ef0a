"""The outside world: exchanges, parsed once at this edge into core types. Only here has a venue a name."""
