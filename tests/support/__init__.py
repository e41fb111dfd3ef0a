"""Stand-ins for the outside world, independent of the product."""
