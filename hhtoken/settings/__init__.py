"""Flag, environment, env file."""
