"""keeper: a daemon that keeps a spot portfolio hedged with short futures."""

__version__ = "0.1.0"
