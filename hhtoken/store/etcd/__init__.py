"""The store that several hosts share: the pair in etcd, sealed, and a copy of it in each host's state directory.

HeadHunter takes a refresh token once, so of all hosts exactly one may send it. Which one is agreed on in etcd; the
rules are in ``docs/scale.md``. Nothing here is imported unless ``HHTOKEN_STORE`` is set.
"""
