"""The state directory: token.json, lock, journal, record; etcd where hosts share it."""
