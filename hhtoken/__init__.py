"""hhtoken keeps a HeadHunter (hh.ru) OAuth 2.0 token alive."""

__version__ = "1.0.0"
