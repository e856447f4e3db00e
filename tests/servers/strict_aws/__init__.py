"""ASGI middleware before the local AWS of tests, which refuses what AWS itself refuses and the local one takes.

- Each request is held to the service's own model, as botocore has it: required members, types, lengths, ranges,
  patterns and enumerations. So are the calls that state machines make.
- S3's rules that no model has are those of `s3.py`.

What is refused is also written to the file `refused-requests.jsonl` in the working folder, as one JSON object per line: the
code under test might swallow a refusal. Calls of services that `calls.py` does not name pass through as they are.
"""

import json
import threading
from pathlib import Path
from xml.sax.saxutils import escape

# The guard, which runs all of this.
from __main__ import read, replay

from . import s3, state_machines
from .calls import Refused, check_model, identify

REFUSED = Path.cwd() / "refused-requests.jsonl"
lock = threading.Lock()


def wrap(app):
    """The application behind which `app` stands."""
    # An empty file says that all of this is in place. No file would say the same as no refusal.
    REFUSED.touch()
    state_machines.check_calls(write_down)

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
    """Adds a line to the file of what was refused."""
    line = json.dumps({"service": service, "operation": operation, "code": refused.code, "message": str(refused)})
    with lock, REFUSED.open("a") as file:
        file.write(line + "\n")


async def refuse(send, service, method, refused):
    """Answers as the service does."""
    if service == "s3":
        media_type = "application/xml"
        body = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
    else:
        media_type = "application/x-amz-json-1.0"
        body = json.dumps({"__type": refused.code, "message": str(refused)})
    body = b"" if method == "HEAD" else body.encode()
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    # Services that speak REST and JSON have the code here.
    headers.append((b"x-amzn-errortype", refused.code.encode()))
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
