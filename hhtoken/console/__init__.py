"""What a person or a log hears."""
