"""hhtoken keeps a HeadHunter (hh.ru) OAuth 2.0 token valid."""

__version__ = "1.0.0"
