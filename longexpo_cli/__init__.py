"""longexpo: computational long-exposure photographs from RAW bursts."""

__version__ = "0.1.0"
