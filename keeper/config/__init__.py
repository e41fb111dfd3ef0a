"""TOML file, environment and credential files -> one validated, frozen :class:`Config`."""

from keeper.config.load import config_digest, load_config, parse_config
from keeper.config.models import (
    AlertsConfig,
    ApiConfig,
    BandConfig,
    Config,
    HedgeConfig,
    JournalConfig,
    LimitsConfig,
    LogConfig,
    LoopConfig,
    Mode,
    SafetyConfig,
    VenueConfig,
)
from keeper.config.redact import secrets

__all__ = [
    "AlertsConfig",
    "ApiConfig",
    "BandConfig",
    "Config",
    "HedgeConfig",
    "JournalConfig",
    "LimitsConfig",
    "LogConfig",
    "LoopConfig",
    "Mode",
    "SafetyConfig",
    "VenueConfig",
    "config_digest",
    "load_config",
    "parse_config",
    "secrets",
]
