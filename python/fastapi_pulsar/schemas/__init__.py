"""Payloads: values to bytes and back, and the schema that describes them to the broker and to Java."""

from .avro import record_schema
from .codec import Codec, codec_of, model_of

__all__ = ["Codec", "codec_of", "model_of", "record_schema"]
