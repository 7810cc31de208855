#!/usr/bin/env python3
"""A bot that lives for years and knows nothing of tokens. docs/client.md says how to run it."""

import sys
import time

import requests

from hhtoken.client import HeadHunterAuth

PAUSE_SECONDS = float(sys.argv[1]) if sys.argv[1:] else 60

headhunter = requests.Session()
headhunter.auth = HeadHunterAuth()
headhunter.headers["User-Agent"] = "my-bot/1.0 (me@example.com)"  # HeadHunter insists on one

while True:
    answer = headhunter.get(f"{headhunter.auth.api_url}/me", timeout=30)
    answer.raise_for_status()
    print("I am", answer.json()["first_name"], flush=True)
    time.sleep(PAUSE_SECONDS)
