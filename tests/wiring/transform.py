"""Prints as JSON what the template named on the command line is after SAM's transform, and the template of the stack that SAM
CLI itself deploys for its bucket."""

import json
import sys
from pathlib import Path

from samcli.lib.bootstrap import bootstrap
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


def transform(text):
    """Return a template as CloudFormation gets it from the transform. No managed policy is looked up by its name."""
    validator = SamTemplateValidator(yaml_parse(text), managed_policy_loader=None, region="us-east-1")
    return yaml_parse(validator.get_translated_template_if_valid())


of_sam = json.loads(bootstrap._get_stack_template())
print(json.dumps({"template": transform(Path(sys.argv[1]).read_text()), "of_sam": of_sam}))
