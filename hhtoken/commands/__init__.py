"""One module per command: ``SUMMARY``, ``add_arguments(parser)``, ``run(arguments)`` that returns an exit code."""
