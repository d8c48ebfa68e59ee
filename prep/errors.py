"""The three ways work can be refused. Anything else is a defect: the process stops and is started again."""


class PrepError(Exception):
    """A refusal with one sentence for the person who will read it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Rejected(PrepError):
    """The sender's fault: the same request can never succeed. HTTP 4xx (`status`)."""

    def __init__(self, sentence: str, *, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


class Parked(PrepError):
    """A person must look: the message is set aside where people see it, and the rest goes on."""


class Unavailable(PrepError):
    """Nothing is wrong with the request: again later. HTTP 503 with Retry-After (`retry_after`, seconds)."""

    def __init__(self, sentence: str, *, retry_after: int = 5) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
