"""Runs the local AWS (ministack) behind a guard: guard.py PORT owned|detached.

ministack is made for containers of their own. On a developer's machine its port is open to every local user and to
every web page in the browser, and ministack accepts any signature for its administrator's key, and lets every web page
read its responses. So each request comes to the guard first:

- Requests of web pages are refused, and no response has CORS headers.
- `Host` must be `localhost` or an address. DNS rebinding (https://en.wikipedia.org/wiki/DNS_rebinding) needs a name, for
  which the browser takes the responses for those of the page's own host. Containers call this server by an address of the
  machine, from which `local invoke` forwards.
- A request must be signed (SigV4) with the secret of an existing key. Three paths need no signature: the health check; the
  API gateway's, which git hosts call and which has its own authorizer; and that which a custom resource of CloudFormation
  responds to, whose name only its function knows.

LOCAL_AWS_MIDDLEWARE may name the folder of a Python package whose `wrap` is ASGI middleware between the guard and
ministack: tests have one that is stricter than ministack.

The guard also limits how many functions run at once, each of which is a process of this machine, and writes what they log
to `functions.log` while they run: ministack's CloudWatch Logs have it only after a function has responded.

The environment has the administrator's key as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The guard uses ministack's own
functions as the pinned version has them, which the CLI's test `local_aws` checks.
"""

import contextlib
import contextvars
import hashlib
import hmac
import importlib
import ipaddress
import json
import os
import re
import secrets
import signal
import sys
import threading
from urllib.parse import parse_qs, quote

# Files that are written here are not for other users.
os.umask(0o077)
# A session of its own lets it outlive the terminal, and lets everything that it starts be ended with it.
os.setsid()


def end_with_owner():
    """End all processes as soon as the process at the other end of the pipe is gone, even if it was killed."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if sys.argv[2] == "owned":
    threading.Thread(target=end_with_owner, daemon=True).start()

from hypercorn.config import Config  # noqa: E402
from ministack import app as ministack  # noqa: E402
from ministack.core import iam_actions  # noqa: E402
from ministack.core import iam_evaluator as iam  # noqa: E402
from ministack.core import lambda_runtime, responses, sigv4  # noqa: E402
from ministack.core.iam_actions import access_denied_response  # noqa: E402
from ministack.services import lambda_svc, sts  # noqa: E402

PORT = sys.argv[1]
GATEWAY = re.compile(r"/_aws/execute-api/[^/]+/")
CUSTOM_RESOURCE = re.compile(r"/_ministack/cfn-response/[0-9a-f-]{36}$")
# Names in queries that have credentials.
QUERY_KEYS = {"x-amz-credential", "awsaccesskeyid"}


class Refused(Exception):
    """A request is not passed on, for a reason in one line."""


class Unsigned(Exception):
    """A request without a valid signature, with AWS's error for it, and the service."""

    def __init__(self, service, code, message):
        super().__init__(message)
        self.service, self.code, self.message = service, code, message


async def app(scope, receive, send):
    """The ASGI application in front of ministack's."""
    if scope["type"] == "lifespan":
        return await ministack_app(scope, receive, send)
    if scope["type"] == "websocket":
        # WebSockets are refused: nothing here needs one, and browsers open them across origins.
        return await send({"type": "websocket.close", "code": 1008})
    try:
        check_sender(scope)
        # Only functions of these requests belong to webhooks.
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
    """Return the values of a header as bytes, one for each line."""
    return [value for key, value in scope["headers"] if key.lower() == name]


def check_sender(scope):
    """Refuse requests of web pages."""
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
    """Return whether a Host is this server's."""
    name, _, port = host.rpartition(":")
    if port != PORT:
        return False
    try:
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_open(scope):
    """Return whether the request needs no signature."""
    if scope["path"] == "/_ministack/health":
        return scope["method"] == "GET"
    if CUSTOM_RESOURCE.match(scope["path"]):
        return scope["method"] == "PUT"
    # A request with a header of AWS is a call of AWS, whatever its path.
    return bool(GATEWAY.match(scope["path"])) and not any(
        key.lower().startswith(b"x-amz-") for key, _ in scope["headers"]
    )


def check_signature(scope, body):
    """Refuse a request that is not signed with the secret of an existing key."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    keys_in_query = [value for name, found in query.items() if name.lower() in QUERY_KEYS for value in found]
    authorizations = values(scope, b"authorization")
    if len(authorizations) + len(keys_in_query) != 1:
        # With two of them, ministack might use the other one.
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
    """Return the credential of an access key id, or raise why there is none. Other ids that ministack takes for the
    administrator's key have the same secret. An account's number is the administrator of that account."""
    account = (
        responses._account_from_sts_session(key)
        or iam.find_iam_access_key_account(key)
        or (key if re.fullmatch(r"\d{12}", key) else responses.get_account_id())
    )
    return iam.resolve_credential(key, account, token)


def expired(signature, query):
    """Return the error of a presigned URL that has expired."""
    try:
        late = sigv4.presigned_request_is_expired(signature.amz_date, query["X-Amz-Expires"][0])
    except (KeyError, ValueError):
        late = True
    return ("AccessDenied", "Request has expired") if late else None


async def read(receive):
    """Return the whole body. ministack reads it whole too."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("the request has ended before its body did")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay(body, receive):
    """Return a `receive` that yields the body that was read, and then whatever else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return messages.pop() if messages else await receive()

    return again


def without_cors(send):
    """Remove the headers by which a response lets web pages read it."""

    async def filtered(message):
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            kept = [(key, value) for key, value in headers if not key.lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return filtered


async def answer(scope, send, status, headers, body):
    """Respond in place of ministack."""
    headers = {**headers, "Content-Length": str(len(body))}
    lines = [(key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


SALT = secrets.token_bytes(32)
derived_credentials = lambda_runtime.execution_credentials


def execution_credentials(config):
    """Return the credentials of a function's role. ministack derives their secret from the names of function and role,
    which anyone who has the template knows. Here it also depends on a secret of this process."""
    keys = derived_credentials(config)
    secret = hmac.new(SALT, keys["AWS_SECRET_ACCESS_KEY"].encode(), hashlib.sha256).hexdigest()
    sts._sessions[keys["AWS_ACCESS_KEY_ID"]]["SecretAccessKey"] = secret
    return {**keys, "AWS_SECRET_ACCESS_KEY": secret}


evaluate_trust_policy = iam.evaluate_trust_policy
extract_resource_arn = iam_actions.extract_resource_arn


def evaluate_trust_policy_for_service(document, caller, context=None):
    """Evaluate a trust policy. The administrator plays the services of AWS, which say whose account they act for."""
    if context is not None and caller.endswith(":root"):
        context.service_context.setdefault("aws:sourceaccount", context.principal_account)
    return evaluate_trust_policy(document, caller, context)


def extract_resource_arn_of_more(service, method, path, headers, body, *rest):
    """Return the ARN of what a request is about. For ministack, a stream of a log is its group; for AWS, and so for a policy
    with `!GetAtt LogGroup.Arn`, which ends in `:*`, it is below the group. ministack knows no resource of a request for the
    parameters below a path; for AWS it is the path, as if that were a parameter."""
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    if action == "GetParametersByPath":
        body = json.dumps({"Name": json.loads(body)["Path"]}).encode()
    arn = extract_resource_arn(service, method, path, headers, body, *rest)
    if action not in ("CreateLogStream", "PutLogEvents", "GetLogEvents") or ":log-group:" not in arn:
        return arn
    return f"{arn}:log-stream:{json.loads(body)['logStreamName']}"


is_webhook = contextvars.ContextVar("is_webhook", default=False)
# In a burst of webhooks the rest waits, because each place may be a process. Webhooks, for which git hosts wait, take
# precedence over pushes in progress. They mostly wait themselves, so they have more places than there are processors.
webhook_places, stage_places = threading.Semaphore(24), threading.Semaphore(4)
run_function = lambda_svc._execute_function_dispatch


def run_in_a_place(*invocation):
    """Run a function when there is a place for it. No function calls another one, which might wait for its caller."""
    with webhook_places if is_webhook.get() else stage_places:
        return run_function(*invocation)


# As the template says, which ministack does not tell the functions.
os.environ["AWS_LAMBDA_LOG_FORMAT"] = "JSON"


class FunctionLog:
    """What a function says, which goes to a file too. The file is begun anew before it is large."""

    file = open("functions.log", "wb", buffering=0)
    lock = threading.Lock()

    def __init__(self, stream):
        self.stream = stream
        self.close = stream.close

    def readline(self):
        line = self.stream.readline()
        # With a full disk, the function goes on.
        with self.lock, contextlib.suppress(OSError):
            if self.file.tell() > 4 << 20:
                self.file.truncate(0)
                self.file.seek(0)
            self.file.write(line)
        return line


pump_output = lambda_runtime.ProvidedWorker._pump_output
lambda_runtime.ProvidedWorker._pump_output = lambda worker, stream, lines: pump_output(
    worker, FunctionLog(stream), lines
)
lambda_svc._execute_function_dispatch = run_in_a_place
iam.evaluate_trust_policy = evaluate_trust_policy_for_service
iam_actions.extract_resource_arn = extract_resource_arn_of_more
for module in (lambda_runtime, lambda_svc):
    module.execution_credentials = execution_credentials
# How many connections may wait to be accepted. With hypercorn's own 100, the rest of a burst would be reset.
Config.backlog = 1_024
ministack_app, ministack.app = ministack.app, app
if middleware := os.environ.get("LOCAL_AWS_MIDDLEWARE"):
    # No compiled files are kept beside their sources.
    sys.dont_write_bytecode = True
    folder, package = os.path.split(middleware)
    sys.path.insert(0, folder)
    ministack_app = importlib.import_module(package).wrap(ministack_app)
sys.argv = ["ministack"]
ministack.main()
