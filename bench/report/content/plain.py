"""Text from anywhere as one plain line."""


def plain(value: object) -> str:
    """Return what a user named as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
