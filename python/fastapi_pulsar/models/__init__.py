"""Types of data that are neither settings nor messages of the engine."""

from .credit import CreditType
from .task import TaskState, TaskStatus

__all__ = ["CreditType", "TaskState", "TaskStatus"]
