"""Lines of the reference's log: the events of ``Logging`` in Health.test.ts as JSON, then as text, without colour.

The time is left to the logger. Each line goes to standard output.
"""

import logging
import sys

from aster.logging import JsonFormatter, TextFormatter, request_context

ID = "ab" * 32

logger = logging.getLogger("aster")
logger.setLevel(logging.DEBUG)
logger.propagate = False
handler = logging.StreamHandler(sys.stdout)
logger.addHandler(handler)


def events() -> None:
    logger.info("plain")
    with request_context(request_id="call-7-and-more", service="Echo", method="echo", peer=ID):
        logger.warning("within a call", extra={"duration_ms": 12, "status_code": 5, "payload_size": 1024})
    logger.debug("ids", extra={"endpoint_id": ID, "contract_id": "c1" * 32, "version": 2})
    try:
        raise ValueError("gone")
    except ValueError:
        logger.error("failed", exc_info=True)


for formatter in (JsonFormatter(), TextFormatter(use_color=False)):
    handler.setFormatter(formatter)
    events()
