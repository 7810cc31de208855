"""A browser's consent becomes a code, and the code a pair."""
