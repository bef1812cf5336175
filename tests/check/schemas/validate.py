"""Validates a SARIF log and a JUnit report: validate.py FOLDER LOG REPORT. Prints the errors and exits with 1 if there are any."""

import json
import sys

import jsonschema
import xmlschema

folder, log, report = sys.argv[1:]
with open(f"{folder}/sarif-2.1.0.json") as schema, open(log) as text:
    schema = json.load(schema)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    errors = [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(json.load(text))]
errors += [str(error) for error in xmlschema.XMLSchema(f"{folder}/junit-10.xsd").iter_errors(report)]
print("\n".join(errors))
sys.exit(1 if errors else 0)
