"""The whole loop against the simulated exchange, in one process and on a clock that tests move."""
