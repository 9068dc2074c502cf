"""Prints template.yaml as CloudFormation gets it: after SAM's transform.

It is what `aws cloudformation get-template --template-stage Processed` would
show, with nothing asked of AWS: no role here names a managed policy of AWS's,
whose ARNs the translator would otherwise look up.
"""

import hashlib
import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

path = sys.argv[1]
with open(path, "rb") as f:
    text = f.read()
template = yaml_parse(text.decode())
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        # sam package would put an address like this there.
        resource["Properties"]["CodeUri"] = "s3://bucket/key"
if isinstance(template["Globals"]["Function"].get("CodeUri"), str):
    del template["Globals"]["Function"]["CodeUri"]
out = Translator({}, Parser(), boto_session=boto3.Session()).translate(template, {})
# Which template this was made of: internal/stacktest compares.
out.setdefault("Metadata", {})["TemplateSHA256"] = hashlib.sha256(text).hexdigest()
json.dump(out, sys.stdout, indent=1, sort_keys=True)
print()
