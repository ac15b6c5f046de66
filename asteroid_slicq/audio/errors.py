"""Errors and warnings about audio files."""


class AudioError(ValueError):
    """A file that cannot be read or written; the message is one sentence for people."""


class AudioWarning(UserWarning):
    """Something in a written file that its owner should know, such as clipped samples."""
