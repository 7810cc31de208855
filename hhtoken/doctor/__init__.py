"""What ``hhtoken doctor`` looks at, from inside to outside: settings, state directory, pair, provider, listener, nginx,
the public redirect URI, units, log.

Each check is a module with two halves: ``look`` gathers facts (files, sockets, processes; with deadlines, and without
root as far as that goes), ``judge`` makes findings of facts and touches nothing.
"""
