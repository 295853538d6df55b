"""Kinds of credit, of the original's host application."""

from typing import Literal

CreditType = Literal["ai", "leads", "skiptrace"]
