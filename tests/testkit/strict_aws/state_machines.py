"""Check the calls of state machines, which the local AWS makes without HTTP."""

import json
import re

from ministack.services import stepfunctions

from .calls import MODELS, Refused, check_params, model

# The optimised integrations, each of which calls one operation.
OPTIMISED = {"events:putEvents": ("events", "PutEvents"), "sns:publish": ("sns", "Publish")}
# "Subjects must be ASCII text that begins with a letter, number, or punctuation mark; must not include line breaks or
# control characters; and must be less than 100 characters long" (the model, as text).
SUBJECT = re.compile(r"[!-~][ -~]{0,98}")


def check_calls(write_down):
    """Check them against the services' models. `write_down` gets the service, the operation and the refusal."""

    def check(service, name, params):
        operation = model(service).operation_model(name)
        try:
            check_params(service, operation, with_texts(params, operation.input_shape))
            if name == "Publish" and not SUBJECT.fullmatch(params.get("Subject", "None")):
                raise Refused("InvalidParameter", f"Publish: {params['Subject']!r} is no subject")
        except Refused as refused:
            write_down(service, name, refused)
            raise stepfunctions._ExecutionError(f"{service}.{refused.code}", str(refused)) from refused

    call_by_json = stepfunctions._dispatch_aws_sdk_json

    def checked_json(service_info, service, action, params):
        if service in MODELS:
            check(service, action[0].upper() + action[1:], params)
        return call_by_json(service_info, service, action, params)

    stepfunctions._dispatch_aws_sdk_json = checked_json

    for name, (service, operation) in OPTIMISED.items():
        resource = f"arn:aws:states:::{name}"

        def checked(resource, params, call=stepfunctions._SERVICE_DISPATCH[resource], of=(service, operation)):
            check(*of, params)
            return call(resource, params)

        stepfunctions._SERVICE_DISPATCH[resource] = checked


def with_texts(value, shape):
    """Return the parameters, with JSON serialized where the model requires text, as Step Functions does it."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: with_texts(part, shape.members[name]) if name in shape.members else part
            for name, part in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [with_texts(part, shape.member) for part in value]
    if shape.type_name == "string" and isinstance(value, (dict, list)):
        return json.dumps(value)
    return value
