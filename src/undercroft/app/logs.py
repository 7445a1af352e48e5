"""Structured logs on standard error: lines for people on a terminal, JSON elsewhere."""

import logging
import sys

import structlog

# Local variables hold bodies, headers and secrets: tracebacks go without them.
_exceptions = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(log_format: str, level: str) -> None:
    """`log_format`: auto, text or json."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if as_text
        else [_exceptions, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=number, handlers=[_for_libraries(shared, renderer)], force=True)


def _for_libraries(
    shared: list[structlog.types.Processor], renderer: list[structlog.types.Processor]
) -> logging.Handler:
    """In our form, and from warnings on at any level: what libraries tell below that is of no use to anybody here, and
    may hold whole requests, with their tokens."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    return handler
