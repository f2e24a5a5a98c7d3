"""The server's log on stderr, as text or as JSON lines, each with the id of its request."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the current request, in its coroutine and in the threads that work for it."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, request id, a message or a request's fields, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if request_id.get() is not None:
            line["request"] = request_id.get()
        fields = getattr(record, "fields", None)
        line.update(fields if fields is not None else {"message": record.getMessage()})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class TextLines(logging.Formatter):
    """The same as text; line ends within a message are escaped, so that requests cannot forge lines of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, followed by its traceback if any."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        fields = getattr(record, "fields", None)
        said = record.getMessage()
        if fields is not None:
            said = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
        said = "\\n".join(said.splitlines())
        line = f"{when} {record.levelname.lower()} {request_id.get() or '-'} {said}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def start_logging(kind: LogFormat) -> None:
    """Log isoglot (requests included) and uvicorn (warnings and errors) to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if kind == "json" else TextLines())
    for name in ("isoglot", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO if name == "isoglot" else logging.WARNING)
        logger.propagate = False
