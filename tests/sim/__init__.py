"""The simulated exchange: its stories and its laws."""
