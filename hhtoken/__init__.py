"""hhtoken keeps a HeadHunter (hh.ru) OAuth 2.0 token alive."""

__version__ = "1.0.0"

PROJECT_URL = "https://github.com/do6pbln9l/hh-oauth2-keendns-nginx-systemd"
