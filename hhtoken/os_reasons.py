"""What the system says of an operation that failed. Pure."""

from hhtoken.errors import reason

__all__ = ["reason"]  # it lives where saying it needs no further file: the disk may be what fails
