"""Find the service, the operation and the parameters of a request, by botocore's models
(https://github.com/boto/botocore/tree/develop/botocore/data)."""

import functools
import json
import re
from urllib.parse import parse_qs, unquote

from botocore.awsrequest import HeadersDict
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError, create_parser

from .constraints import breaches

# The models of the services whose requests are checked, by the services' names in signatures. (DynamoDB Streams has that of
# DynamoDB there.)
MODELS = {
    "dynamodb": "dynamodb",
    "dynamodbstreams": "dynamodbstreams",
    "events": "events",
    "lambda": "lambda",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "states": "stepfunctions",
}
# Parameters of presigned URLs, and the SDKs' own name of the operation.
QUERY_OF_EVERY_CALL = re.compile(r"x-id$|x-amz-")


class Refused(Exception):
    """A call that AWS refuses, with its error code, the reason, and the operation if the caller does not know it yet."""

    def __init__(self, code, message, operation=None):
        super().__init__(message)
        self.code, self.operation = code, operation


@functools.cache
def model(service):
    """Return the model of a service."""
    name = MODELS.get(service, service)
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def header(scope, name):
    """Return the value of a header, or an empty text."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def query_of(scope):
    """Return the values of each name in the query."""
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def identify(scope):
    """Return the service that the request's signature names, or `None` if it has no model here."""
    signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", header(scope, b"authorization"))
    credential = query_of(scope).get("X-Amz-Credential", ["///"])[0].split("/")
    service = signed[1] if signed else credential[3]
    if service == "dynamodb" and header(scope, b"x-amz-target").startswith("DynamoDBStreams_"):
        service = "dynamodbstreams"
    return service if service in MODELS else None


def check_model(service, scope, body):
    """Return the operation and its parameters, checked against its model."""
    of_json = model(service).metadata["protocol"] == "json"
    operation, params = (of_target if of_json else of_path)(service, scope, body)
    check_params(service, operation, params)
    return operation, params


def check_params(service, operation, params):
    """Refuse parameters that the operation's model does not allow."""
    if found := breaches(params, operation.input_shape):
        code = "InvalidArgument" if service == "s3" else "ValidationException"
        raise Refused(code, f"{operation.name}: {found}", operation.name)


def of_target(service, scope, body):
    """Parse a call whose header names the operation, and whose body is JSON."""
    target = header(scope, b"x-amz-target")
    prefix, _, name = target.partition(".")
    if prefix != model(service).metadata["targetPrefix"] or name not in model(service).operation_names:
        raise Refused("UnknownOperationException", f"there is no operation {target!r}", target)
    try:
        params = json.loads(body)
    except ValueError as error:
        raise Refused("SerializationException", f"the body is not JSON: {error}", name) from error
    return model(service).operation_model(name), params


def of_path(service, scope, body):
    """Parse a call whose method, path and query name the operation."""
    path = scope["raw_path"].decode("latin-1")
    query = {name: values for name, values in query_of(scope).items() if not QUERY_OF_EVERY_CALL.match(name.lower())}
    headers = HeadersDict()
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    found = [route.match(scope["method"], path, query, headers) for route in routes(service)]
    found = [match for match in found if match]
    if not found:
        call = f"{scope['method']} {path} with the query {query}"
        raise Refused("UnknownOperationException", f"there is no operation {call}", call)
    _, route, labels = max(found, key=lambda match: match[0])
    return route.operation, route.params(labels, query, headers, body)


@functools.cache
def routes(service):
    """Return the routes of a service's operations."""
    names = model(service).operation_names
    return [Route(model(service).operation_model(name)) for name in names]


class Route:
    """The route of an operation in REST."""

    def __init__(self, operation):
        self.operation = operation
        path, _, query = operation.http["requestUri"].partition("?")
        self.query = parse_qs(query, keep_blank_values=True)
        # {Name} is a part of the path, {Name+} the rest of it. A slash at the end of the path is ignored.
        parts = re.split(r"\{(\w+)(\+?)\}", path.rstrip("/"))
        pattern = "".join(
            f"{re.escape(literal)}(?P<{name}>{'.+' if rest else '[^/]+'})" if name else re.escape(literal)
            for literal, name, rest in zip(parts[::3], parts[1::3] + [""], parts[2::3] + [""])
        )
        self.pattern = re.compile(pattern + "/?")
        self.members = dict(operation.input_shape.members) if operation.input_shape else {}
        required = operation.input_shape.required_members if self.members else []
        # The members in each place of the request, by their names there.
        self.at = {"uri": {}, "querystring": {}, "header": {}, "headers": {}, None: {}}
        for name, shape in self.members.items():
            self.at[shape.serialization.get("location")][shape.serialization.get("name", name)] = name, shape
        self.required_query, self.required_headers = (
            [key for key, (name, _) in self.at[location].items() if name in required]
            for location in ("querystring", "header")
        )

    def match(self, method, path, query, headers):
        """Return how closely the route matches, the route, and the parts of the path, or `None` if it does not match."""
        found = method == self.operation.http["method"] and self.pattern.fullmatch(path)
        if not found or any(query.get(name) != values for name, values in self.query.items()):
            return None
        if not all(name in query for name in self.required_query):
            return None
        if not all(name in headers for name in self.required_headers):
            return None
        named = len(self.query) + len(self.required_query) + len(self.required_headers)
        return (named, not self.operation.deprecated), self, found.groupdict()

    def params(self, labels, query, headers, body):
        """Return the operation's parameters."""
        shape, name = self.operation.input_shape, self.operation.name
        if shape is None:
            return {}
        payload = shape.serialization.get("payload")
        of_bytes = payload and self.members[payload].type_name in ("blob", "string")
        # A body that belongs to no member is not checked.
        parsed = b"" if of_bytes or not self.at[None] else body
        # The parser is one for responses, which have the same parts except the path and the query.
        answer = {"status_code": 200, "headers": headers, "body": parsed}
        protocol = self.operation.service_model.metadata["protocol"]
        try:
            params = parser(protocol).parse(answer, shape)
            params.pop("ResponseMetadata")
            params |= {member: unquote(labels[key]) for key, (member, _) in self.at["uri"].items()}
            known = self.at["querystring"]
            params |= {known[key][0]: convert(values, known[key][1]) for key, values in query.items() if key in known}
        except (ResponseParserError, ValueError) as error:
            code = "MalformedXML" if protocol == "rest-xml" else "SerializationException"
            raise Refused(code, f"{name}: {error}", name) from error
        if unknown := query.keys() - known.keys() - self.query.keys():
            raise Refused("InvalidArgument", f"{name} has no parameters {sorted(unknown)}", name)
        if of_bytes:
            params[payload] = body
        elif payload and not body:
            del params[payload]
        return {name: value for name, value in params.items() if value not in ({}, None)}


parser = functools.cache(create_parser)


def convert(values, shape):
    """Convert a value of the query."""
    if shape.type_name == "list":
        return values
    [value] = values
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(value, value)
    return value
