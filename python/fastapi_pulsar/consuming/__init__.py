"""Consumer functions, from their signature to the acknowledgement.

`plan.py` reads them at decoration, `subscriber.py` subscribes, `dispatch.py` calls, `failure.py` decides what failed.
"""

from .deduplication import Deduplicate, DeduplicationStore
from .delivery import Delivery
from .handling import AckPolicy
from .markers import Batch, Key, Property
from .plan import Plan
from .replay import ReplayReport, replay_dlq_messages
from .retry import Exponential, RetryPolicy
from .signals import Ack, DeadLetter, Nack, Retry, Signal, Skip
from .subscription import Subscription

__all__ = [
    "Ack",
    "AckPolicy",
    "Batch",
    "DeadLetter",
    "Deduplicate",
    "DeduplicationStore",
    "Delivery",
    "Exponential",
    "Key",
    "Nack",
    "Plan",
    "Property",
    "ReplayReport",
    "Retry",
    "RetryPolicy",
    "Signal",
    "Skip",
    "Subscription",
    "replay_dlq_messages",
]
