"""Log records as lines of JSON, with the fields of the message that they are about."""

import json
import logging

FIELDS = ("topic", "subscription", "message_id", "attempt")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname, "logger": record.name, "text": record.getMessage()}
        about = {name: getattr(record, name, None) for name in FIELDS}
        return json.dumps(line | {name: value for name, value in about.items() if value is not None})


handler = logging.StreamHandler()
handler.setFormatter(JsonLines())
logging.getLogger("fastapi_pulsar").addHandler(handler)
logging.getLogger("fastapi_pulsar").setLevel(logging.INFO)
