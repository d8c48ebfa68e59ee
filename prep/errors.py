"""The three kinds of refusal. Any other exception is a defect: it stops the process, and the process starts again."""


class PrepError(Exception):
    """A refusal, with one sentence in Spanish for the person who reads it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Rejected(PrepError):
    """The request is wrong and can never succeed; the sender must change it. HTTP 4xx (`status`)."""

    def __init__(self, sentence: str, *, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


class Parked(PrepError):
    """A person must look at this message. It goes to the list of parked messages, and the other messages go on."""


class Unavailable(PrepError):
    """The request is right, but cannot be met now.

    Try again later. HTTP 503 with Retry-After (`retry_after`, seconds).
    """

    def __init__(self, sentence: str, *, retry_after: int = 5) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
