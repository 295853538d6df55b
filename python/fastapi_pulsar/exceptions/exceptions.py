"""The errors of HTTP routes that the original carried along: each answers with a status and a body of one form.

{"detail": {"error": {"code": "not_found", "message": "note not found", "details": {}}}}
"""

import logging
from typing import Any, NoReturn

from fastapi import HTTPException


class APIError(HTTPException):
    """An error with a status code, a code for programs and a message for people.

    Args:
        status_code: The HTTP status.
        error_code: A word for programs.
        message: A sentence for people.
        details: What else the client of the API should know.
    """

    def __init__(self, status_code: int, error_code: str, message: str, details: dict[str, Any] | None = None) -> None:
        self.error_code = error_code
        self.message = message
        self.details = {} if details is None else details
        super().__init__(
            status_code, detail={"error": {"code": error_code, "message": message, "details": self.details}}
        )


class BadRequestError(APIError):
    """400: the request is not valid."""

    def __init__(self, message: str = "Invalid request", details: dict[str, Any] | None = None) -> None:
        super().__init__(400, "bad_request", message, details)


class UnauthorizedError(APIError):
    """401: who is asking is unknown."""

    def __init__(self, message: str = "Authentication required") -> None:
        super().__init__(401, "unauthorized", message)


class ForbiddenError(APIError):
    """403: who is asking may not."""

    def __init__(self, message: str = "Insufficient permissions") -> None:
        super().__init__(403, "forbidden", message)


class NotFoundError(APIError):
    """404: there is no such thing."""

    def __init__(self, resource: str = "resource") -> None:
        super().__init__(404, "not_found", f"{resource} not found")


class RateLimitError(APIError):
    """429: too many requests; `retry_after` is in seconds, and the `Retry-After` header too."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(429, "rate_limit_exceeded", "Rate limit exceeded", {"retry_after": retry_after})
        self.headers = {"Retry-After": str(retry_after)}


class InsufficientCreditsError(APIError):
    """402: the balance is under what is required."""

    def __init__(self, balance: float, required: float) -> None:
        super().__init__(
            402, "insufficient_credits", "Insufficient credits", {"balance": balance, "required": required}
        )


class ServiceTimeoutError(APIError):
    """504: another service did not answer within `timeout` seconds."""

    def __init__(self, service: str, timeout: float) -> None:
        super().__init__(504, "service_timeout", f"{service} timed out", {"timeout_seconds": timeout})


def log_and_raise_http_exception(
    logger: logging.Logger, error_class: type[APIError], *args: Any, log_message: str | None = None, **kwargs: Any
) -> NoReturn:
    """Makes an error of its class and arguments, logs it, and raises it.

    Args:
        logger: Where to log, at level ERROR.
        error_class: The class to raise; `args` and `kwargs` are its own.
        log_message: What to log instead of the error's message.
    """
    error = error_class(*args, **kwargs)
    logger.error(log_message or error.message)
    raise error
