"""The demo: a day of market on a simulated exchange, and a keeper at work on it."""
