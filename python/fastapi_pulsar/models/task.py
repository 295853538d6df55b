"""How a task that `pulsar_task` runs is doing."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

TaskState = Literal["PENDING", "PROGRESS", "COMPLETED", "FAILED"]
PENDING: TaskState = "PENDING"
PROGRESS: TaskState = "PROGRESS"
COMPLETED: TaskState = "COMPLETED"
FAILED: TaskState = "FAILED"


class TaskStatus(TypedDict):
    """A task's state, and what came of it."""

    task_id: str
    state: TaskState
    function: NotRequired[str]
    result: NotRequired[Any]
    """Of a task that is COMPLETED, as JSON."""
    error: NotRequired[str]
    """Of a task that FAILED: the class of the exception."""
    progress: NotRequired[Any]
    """What the function reported of itself."""
    time: NotRequired[str]
    """When this was written, in ISO 8601."""
