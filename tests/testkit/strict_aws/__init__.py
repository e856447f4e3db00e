"""ASGI middleware in front of the local AWS of tests, which refuses what AWS itself refuses and the local AWS accepts.

- Each request is checked against botocore's model of the service: required members, types, lengths, ranges, patterns and
  enumerations. So are the calls of state machines.
- `s3.py` has the rules of S3 that are in no model.
- `redrive.py` adds an operation that the local AWS lacks.

Each refusal is also written to the file `refused-requests.jsonl` in the working folder, as one JSON object per line, because
the code under test might swallow it. Calls of services that `calls.py` does not name pass through unchanged.

It also kills functions midway, which the local AWS never does: see `kills.py`.
"""

import json
import threading
from pathlib import Path
from xml.sax.saxutils import escape

# The guard is the main program.
from __main__ import read, replay

from . import kills, redrive, s3, state_machines
from .calls import Refused, check_model, identify

REFUSED = Path.cwd() / "refused-requests.jsonl"
lock = threading.Lock()


def wrap(app):
    """Return the application with the middleware in front of `app`."""
    # An empty file shows that the middleware is active. If there were no file, that could also mean that nothing was refused.
    REFUSED.touch()
    state_machines.check_calls(write_down)
    kills.watch()
    redrive.add()

    async def strict(scope, receive, send):
        service = scope["type"] == "http" and identify(scope)
        if not service:
            return await app(scope, receive, send)
        body = await read(receive)
        operation = None
        try:
            operation, params = check_model(service, scope, body)
            if service == "s3":
                s3.check(operation, params, scope)
        except Refused as refused:
            write_down(service, refused.operation or (operation and operation.name), refused)
            return await refuse(send, service, scope["method"], refused)
        await app(scope, replay(body, receive), s3.encode_metadata(send) if service == "s3" else send)

    return strict


def write_down(service, operation, refused):
    """Add a line to the file of refusals."""
    line = json.dumps({"service": service, "operation": operation, "code": refused.code, "message": str(refused)})
    with lock, REFUSED.open("a") as file:
        file.write(line + "\n")


async def refuse(send, service, method, refused):
    """Respond as the service does."""
    if service == "s3":
        media_type = "application/xml"
        body = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
    else:
        media_type = "application/x-amz-json-1.0"
        body = json.dumps({"__type": refused.code, "message": str(refused)})
    body = b"" if method == "HEAD" else body.encode()
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    # Services with REST and JSON have the code in this header.
    headers.append((b"x-amzn-errortype", refused.code.encode()))
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
