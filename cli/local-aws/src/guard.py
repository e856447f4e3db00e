"""Runs the local AWS (ministack) behind a guard: guard.py PORT owned|detached.

ministack is made for containers of their own. On a developer's machine its port is open to every local user and to
every web page in the browser, and ministack takes any signature for its administrator's key, and lets every web page
read its answers. So each request comes here first:

- What a browser sends for a web page is refused, and no answer carries CORS headers.
- `Host` has to be `localhost` or an address, against DNS rebinding
  (https://en.wikipedia.org/wiki/DNS_rebinding), which needs a name: the browser then takes the answers for those of the
  page's own host. Containers call this server by an address of the machine, from which `local invoke` forwards.
- A request has to be signed (SigV4) with the secret of a key that exists. Two paths are open without: the one that says
  whether the server is up, and the API gateway's, which git hosts call and which has its own authorizer.

LOCAL_AWS_MIDDLEWARE may name the folder of a Python package whose `wrap` is ASGI middleware. It comes between the guard
and ministack: tests have one that is stricter than ministack.

It also bounds how many functions run at once, each of which is a process of this machine.

The environment holds the administrator's key as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. ministack's own functions
are used as those of the pinned version are; the test `local_aws` of the CLI holds all of this to that version.
"""

import contextvars
import hashlib
import hmac
import importlib
import ipaddress
import os
import re
import secrets
import signal
import sys
import threading
from urllib.parse import parse_qs, quote

# Nothing that is written here is for other users.
os.umask(0o077)
# It leads a session of its own, so that it outlives the terminal and all that it starts can be ended with it.
os.setsid()


def end_with_owner():
    """Ends all of it as soon as the process at the other end of the pipe is gone, even if that was killed."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if sys.argv[2] == "owned":
    threading.Thread(target=end_with_owner, daemon=True).start()

from hypercorn.config import Config  # noqa: E402
from ministack import app as ministack  # noqa: E402
from ministack.core import iam_evaluator as iam  # noqa: E402
from ministack.core import lambda_runtime, responses, sigv4  # noqa: E402
from ministack.core.iam_actions import access_denied_response  # noqa: E402
from ministack.services import lambda_svc, sts  # noqa: E402

PORT = sys.argv[1]
GATEWAY = re.compile(r"/_aws/execute-api/[^/]+/")
# Names of queries that hold credentials.
QUERY_KEYS = {"x-amz-credential", "awsaccesskeyid"}


class Refused(Exception):
    """Why a request is not passed on, in one line."""


class Unsigned(Exception):
    """Which error AWS has for the signature, and for which service."""

    def __init__(self, service, code, message):
        super().__init__(message)
        self.service, self.code, self.message = service, code, message


async def app(scope, receive, send):
    """The ASGI application that stands before ministack's."""
    if scope["type"] == "lifespan":
        return await ministack_app(scope, receive, send)
    if scope["type"] == "websocket":
        # Nothing here needs one, and browsers open them across origins.
        return await send({"type": "websocket.close", "code": 1008})
    try:
        check_sender(scope)
        # Functions of these requests alone are of webhooks.
        is_webhook.set(is_open(scope))
        if not is_webhook.get():
            body = await read(receive)
            check_signature(scope, body)
            receive = replay(body, receive)
    except Refused as refused:
        return await answer(scope, send, 403, {"Content-Type": "text/plain"}, f"refused: {refused}\n".encode())
    except Unsigned as failure:
        denied = access_denied_response(
            failure.service, "", "", secrets.token_hex(16), error_code=failure.code, message=failure.message,
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        )
        return await answer(scope, send, *denied)
    await ministack_app(scope, receive, without_cors(send))


def values(scope, name):
    """The values of a header, as bytes: one for each line."""
    return [value for key, value in scope["headers"] if key.lower() == name]


def check_sender(scope):
    """Refuses what web pages send."""
    hosts = values(scope, b"host")
    if len(hosts) != 1 or not is_own(hosts[0].decode("latin-1")):
        raise Refused(f"the Host is neither localhost:{PORT} nor an address with this port")
    if values(scope, b"origin"):
        raise Refused("web pages may not use the local AWS (the request has an Origin)")
    # https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header; `none` is an address that the user has typed.
    if any(site not in (b"none", b"same-origin") for site in values(scope, b"sec-fetch-site")):
        raise Refused("web pages may not use the local AWS (Sec-Fetch-Site is of another site)")
    if scope["method"] == "OPTIONS":
        raise Refused("web pages may not use the local AWS (OPTIONS is what browsers ask leave with)")


def is_own(host):
    """Whether a Host is this server's."""
    name, _, port = host.rpartition(":")
    if port != PORT:
        return False
    try:
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_open(scope):
    """Whether the request needs no signature."""
    if scope["path"] == "/_ministack/health":
        return scope["method"] == "GET"
    # What has a header of AWS's own is a call of AWS, whatever the path says.
    return bool(GATEWAY.match(scope["path"])) and not any(
        key.lower().startswith(b"x-amz-") for key, _ in scope["headers"]
    )


def check_signature(scope, body):
    """Refuses what is not signed with the secret of a key that exists."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    keys_in_query = [value for name, found in query.items() if name.lower() in QUERY_KEYS for value in found]
    authorizations = values(scope, b"authorization")
    if len(authorizations) + len(keys_in_query) != 1:
        # With two, ministack might go by the other one.
        raise Refused("a request needs exactly one AWS signature: `push-code local env` prints the key to sign with")
    headers = {}
    for key, value in scope["headers"]:
        key, value = key.decode("latin-1").lower(), sigv4.decode_header_value(value)
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    presigned = not authorizations
    signature = sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(headers)
    if isinstance(signature, tuple) or signature.region_set is not None:
        raise Refused("the AWS signature is not SigV4: `push-code local env` prints the key to sign with")

    if presigned:
        token = query.get("X-Amz-Security-Token", [""])[0]
        late = expired(signature, query)
    else:
        token = headers.get("x-amz-security-token", "")
        late = sigv4.request_time_failure(signature)
    credential = find_credential(signature.access_key_id, token)
    failure = late or (
        (credential.code, f"{credential.message} `push-code local env` prints the key to sign with.")
        if isinstance(credential, iam.CredentialResolutionError)
        else sigv4.header_signature_failure(
            signature, credential.secret_access_key, scope["method"],
            (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1"),
            query, headers, body, presigned=presigned,
        )
    )
    if failure:
        raise Unsigned(signature.service, *failure)


def find_credential(key, token):
    """The credential of an access key id, or why there is none. What ministack takes for a key of an administrator
    besides the one that it was given, such as an account's number, has the same secret."""
    account = (
        responses._account_from_sts_session(key) or iam.find_iam_access_key_account(key) or responses.get_account_id()
    )
    return iam.resolve_credential(key, account, token)


def expired(signature, query):
    """The failure of a presigned URL whose time is over."""
    try:
        late = sigv4.presigned_request_is_expired(signature.amz_date, query["X-Amz-Expires"][0])
    except (KeyError, ValueError):
        late = True
    return ("AccessDenied", "Request has expired") if late else None


async def read(receive):
    """The whole body. ministack reads it whole as well."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("the request has ended before its body did")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay(body, receive):
    """Gives the body that was read, and then what else there is to receive."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return messages.pop() if messages else await receive()

    return again


def without_cors(send):
    """Takes the headers off with which an answer lets web pages read it."""

    async def filtered(message):
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            kept = [(key, value) for key, value in headers if not key.lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return filtered


async def answer(scope, send, status, headers, body):
    """Answers for ministack."""
    headers = {**headers, "Content-Length": str(len(body))}
    lines = [(key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


SALT = secrets.token_bytes(32)
derived_credentials = lambda_runtime.execution_credentials


def execution_credentials(config):
    """The credentials of a function's role. ministack derives their secret from the names of function and role, which
    anybody may know who has the template: here it depends on what only this process knows as well."""
    keys = derived_credentials(config)
    secret = hmac.new(SALT, keys["AWS_SECRET_ACCESS_KEY"].encode(), hashlib.sha256).hexdigest()
    sts._sessions[keys["AWS_ACCESS_KEY_ID"]]["SecretAccessKey"] = secret
    return {**keys, "AWS_SECRET_ACCESS_KEY": secret}


is_webhook = contextvars.ContextVar("is_webhook", default=False)
# Of a burst of webhooks, the rest waits: each place may be a process. What git hosts wait for goes before the pushes that
# are worked on. Most of a webhook's time is waiting, so there are more places for them than processors.
webhook_places, stage_places = threading.Semaphore(24), threading.Semaphore(4)
run_function = lambda_svc._execute_function_dispatch


def run_in_a_place(*invocation):
    """Runs a function when there is a place for it. None calls another one, which might wait for its caller."""
    with webhook_places if is_webhook.get() else stage_places:
        return run_function(*invocation)


lambda_svc._execute_function_dispatch = run_in_a_place
for module in (lambda_runtime, lambda_svc):
    module.execution_credentials = execution_credentials
# How many connections may wait to be taken. hypercorn's own 100 is less than a burst, of which the rest is reset.
Config.backlog = 1_024
ministack_app, ministack.app = ministack.app, app
if middleware := os.environ.get("LOCAL_AWS_MIDDLEWARE"):
    # Nothing that is compiled is kept beside its source.
    sys.dont_write_bytecode = True
    folder, package = os.path.split(middleware)
    sys.path.insert(0, folder)
    ministack_app = importlib.import_module(package).wrap(ministack_app)
sys.argv = ["ministack"]
ministack.main()
