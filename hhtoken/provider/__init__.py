"""HeadHunter: HTTP, answers, its documented errors as data."""
