"""The fault suite: what is promised in docs/reliability.md, swept call by call. ``make test-faults`` runs it."""
