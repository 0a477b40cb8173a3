#!/usr/bin/python3
"""Lines of JSON against schemas: check_json.py SCHEMAS LINES

SCHEMAS is a folder of JSON Schemas (2020-12), LINES one of files: NAME holds lines that are to match
NAME.json. Says each line that does not, and each schema that would let anything pass."""

import json
import pathlib
import sys

import jsonschema

PROBLEMS_SHOWN = 40


def open_objects(schema, at="$"):
    """Objects of a schema that take any other member besides those that it names."""
    if isinstance(schema, list):
        return [found for i, part in enumerate(schema) for found in open_objects(part, f"{at}[{i}]")]
    if not isinstance(schema, dict):
        return []
    closed = schema.get("additionalProperties", schema.get("unevaluatedProperties")) is False
    # Members that several kinds of objects share are closed where they are used.
    found = [] if closed or "properties" not in schema or at.endswith("_members") else [at]
    for name, part in schema.items():
        found += open_objects(part, f"{at}.{name}")
    return found


def read_schemas(folder):
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}


def loose_schemas(schemas):
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for at in open_objects(schema):
            yield f"{name}: {at} takes any member: it wants additionalProperties or unevaluatedProperties"


def at_the_top(errors):
    return sum(not error.absolute_path for error in errors)


def what_is_wrong(validator, line):
    """The error that tells most: of the schema for the line's type, where there are several."""
    schema = validator.schema
    of_type = [schema["$defs"][branch["$ref"].rpartition("/")[2]] for branch in schema.get("oneOf", [])]
    of_type = [part for part in of_type
               if part["properties"].get("type", {}).get("const") == line.get("type")]
    errors = [list(validator.evolve(schema=part).iter_errors(line)) for part in of_type or [schema]]
    return [] if validator.is_valid(line) else min(errors, key=at_the_top)


def wrong_lines(schemas, path):
    schema = schemas.get(f"{path.name}.json")
    if schema is None:
        yield f"{path.name}: there is no schema docs/schemas/{path.name}.json"
        return
    resolver = jsonschema.RefResolver.from_schema(schema, store=dict(schemas))
    validator = jsonschema.Draft202012Validator(schema, resolver=resolver)
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines:
        yield f"{path.name}: no lines"
    for number, line in enumerate(lines, 1):
        try:
            errors = what_is_wrong(validator, json.loads(line))
        except json.JSONDecodeError as wrong:
            yield f"{path.name}:{number}: no JSON: {wrong}: {line[:200]}"
            continue
        for error in errors:
            yield f"{path.name}:{number}: {error.json_path}: {error.message[:200]}"


def main():
    folder, lines = map(pathlib.Path, sys.argv[1:3])
    schemas = read_schemas(folder)
    problems = list(loose_schemas(schemas))
    for path in sorted(lines.iterdir()):
        problems += wrong_lines(schemas, path)
    print("\n".join(problems[:PROBLEMS_SHOWN]))
    sys.exit(1 if problems else 0)


main()
