"""Check parameters against a model. botocore itself checks less before it sends a request: no `max`, no pattern, no
enumeration."""

import base64
import binascii
import functools
import re

from botocore.validate import ParamValidator, ValidationErrors

# A message need not repeat the body of a request.
MESSAGE_CHARACTERS = 600


def breaches(params, shape):
    """Describe how the parameters violate the model. The text is empty if they do not."""
    if shape is None:
        return f"it takes no parameters, such as {sorted(params)}" if params else ""
    errors = Errors()
    Validator()._validate(params, shape, errors, name="")
    return errors.generate_report()[:MESSAGE_CHARACTERS] if errors.has_errors() else ""


class Errors(ValidationErrors):
    """Errors, some of which botocore does not have."""

    def _format_error(self, error):
        reason, name, _ = error
        return super()._format_error(error) or f"{self._get_name(name)}: {reason}"


class Validator(ParamValidator):
    """botocore's validator, with the checks that it leaves out. It accepts blobs and times in the form of a request."""

    # Without these, botocore does not check the members of lists.
    VALIDATED_METADATA_ATTRS = ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "pattern", "enum"}

    def _validate_string(self, param, shape, errors, name):
        super()._validate_string(param, shape, errors, name)
        if not isinstance(param, str):
            return
        check_most(len(param), shape, errors, name)
        pattern = compiled(shape.metadata.get("pattern", ".*"))
        if pattern and not pattern.fullmatch(param):
            errors.report(name, f"{param!r} is not of the pattern {pattern.pattern}")
        if shape.enum and param not in shape.enum:
            errors.report(name, f"{param!r} is not one of {shape.enum}")

    def _validate_list(self, param, shape, errors, name):
        super()._validate_list(param, shape, errors, name)
        if isinstance(param, list):
            check_most(len(param), shape, errors, name)

    def _validate_map(self, param, shape, errors, name):
        super()._validate_map(param, shape, errors, name)
        if isinstance(param, dict):
            # botocore does not check the least size.
            check_least(len(param), shape, errors, name)
            check_most(len(param), shape, errors, name)

    def _validate_integer(self, param, shape, errors, name):
        super()._validate_integer(param, shape, errors, name)
        if isinstance(param, int):
            check_most(param, shape, errors, name)

    _validate_long = _validate_integer

    def _validate_blob(self, param, shape, errors, name):
        if isinstance(param, str):
            try:
                param = base64.b64decode(param, validate=True)
            except binascii.Error as error:
                return errors.report(name, f"it is not Base64: {error}")
        super()._validate_blob(param, shape, errors, name)
        check_least(len(param), shape, errors, name)
        check_most(len(param), shape, errors, name)

    def _validate_timestamp(self, param, shape, errors, name):
        # In JSON a time is a number of seconds.
        if not isinstance(param, (int, float)):
            super()._validate_timestamp(param, shape, errors, name)


def check_least(size, shape, errors, name):
    if size < shape.metadata.get("min", size):
        errors.report(name, f"{size} is less than {shape.metadata['min']}")


def check_most(size, shape, errors, name):
    if size > shape.metadata.get("max", size):
        errors.report(name, f"{size} is more than {shape.metadata['max']}")


@functools.cache
def compiled(pattern):
    """Compile a pattern, or return `None` if only Java supports it, such as `\\p{L}` in those of tags and display names."""
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None
