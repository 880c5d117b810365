"""Holds drawings of lineages against what the authors of their formats publish.

    python validate.py DIRECTORY

The directory has files *.openlineage, *.prov and *.ro-crate. Each is read by a program that is not ours: OpenLineage
events become the client's own classes, which know every field and format of the specification; PROV-JSON is held
against the schema of the notation and then read into a document whose relations must all lead somewhere; an RO-Crate
goes through the validator of the RO-Crate community, in the profile for runs of programs.
"""

import importlib.resources
import json
import pathlib
import sys
import tempfile

import attr
import jsonschema
import prov.model
from openlineage.client import event_v2, facet_v2
from openlineage.client.generated import documentation_job, error_message_run, job_type_job, tags_dataset
from rocrate_validator import models, services
from rocrate_validator.utils import document_loader

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
FACETS = {
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "documentation": documentation_job.DocumentationJobFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "tags": tags_dataset.TagsDatasetFacet,
}


def fields(cls, given, **instead):
    """Makes `cls` of a JSON object; a field that the class does not know is an error, as is a wrong `schemaURL`."""
    known = {field.name for field in attr.fields(cls)}
    unknown = set(given) - known
    assert not unknown, f"{cls.__name__} knows no {unknown}"
    made = {field.name for field in attr.fields(cls) if field.init}
    thing = cls(**{name: instead.get(name, value) for name, value in given.items() if name in made})
    for name in set(given) - made - {"_schemaURL", "_producer"}:
        assert getattr(thing, name) == given[name], f"{cls.__name__}.{name} is {given[name]!r}, not {getattr(thing, name)!r}"
    return thing


def facet(name, given, schema_base):
    assert given["_producer"] and given["_schemaURL"], f"the facet {name} does not say where it is described"
    cls = FACETS.get(name)
    if cls is None:
        # One of ours: the specification allows it with a name that begins with whose it is.
        assert name.startswith("knitfab_"), f"{name} is neither a facet of the specification nor named as ours"
        return schema_base()
    own = {key: value for key, value in given.items() if not key.startswith("_")}
    if name == "tags":
        own["tags"] = [fields(tags_dataset.TagsDatasetFacetFields, tag) for tag in own["tags"]]
    made = fields(cls, own)
    assert made._schemaURL == given["_schemaURL"], f"{name} is described at {made._schemaURL}, not {given['_schemaURL']}"
    return made


def facets(given, base):
    return {name: facet(name, value, base) for name, value in given.items()}


def dataset(cls, given):
    return fields(cls, given, facets=facets(given["facets"], facet_v2.DatasetFacet))


def openlineage(path):
    """One event a line; answers how many."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert events, "no events"
    for event in events:
        if "dataset" in event:
            fields(event_v2.DatasetEvent, event, dataset=dataset(event_v2.StaticDataset, event["dataset"]))
            continue
        run = fields(event_v2.Run, event["run"], facets=facets(event["run"]["facets"], facet_v2.RunFacet))
        job = fields(event_v2.Job, event["job"], facets=facets(event["job"]["facets"], facet_v2.JobFacet))
        instead = {
            "run": run,
            "job": job,
            "eventType": event_v2.RunState(event["eventType"]),
            "inputs": [dataset(event_v2.InputDataset, given) for given in event["inputs"]],
            "outputs": [dataset(event_v2.OutputDataset, given) for given in event["outputs"]],
        }
        fields(event_v2.RunEvent, event, **instead)
    return len(events)


def provenance(path):
    """One document in PROV-JSON; answers how many entities, activities and agents it has."""
    document = json.loads(path.read_text())
    schema = importlib.resources.files("prov").joinpath("tests/schemas/prov-json.schema.json").read_text()
    jsonschema.validate(document, json.loads(schema))
    read = prov.model.ProvDocument.deserialize(content=path.read_text(), format="json")
    elements = {element.identifier for element in read.get_records(prov.model.ProvElement)}
    for relation in read.get_records(prov.model.ProvRelation):
        for name, end in relation.formal_attributes:
            assert not isinstance(end, prov.model.QualifiedName) or end in elements, f"{name} {end} is nowhere"
    return len(elements)


def ro_crate(path):
    """The metadata of one crate; answers how many things it describes."""
    context = json.loads(importlib.resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text())
    assert context["@id"] == CONTEXT, "the context that is brought along is of another version"
    fetch = document_loader._fetch_json_ld
    document_loader._fetch_json_ld = lambda url: context if url == CONTEXT else fetch(url)
    with tempfile.TemporaryDirectory() as crate:
        pathlib.Path(crate, "ro-crate-metadata.json").write_text(path.read_text())
        settings = services.ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="process-run-crate",
            requirement_severity=models.Severity.REQUIRED,
            metadata_only=True,
            skip_availability_check=True,
        )
        result = services.validate(settings)
    problems = [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
    assert not problems, "\n".join(problems)
    return len(json.loads(path.read_text())["@graph"])


def main(directory):
    kinds = {"openlineage": openlineage, "prov": provenance, "ro-crate": ro_crate}
    failed = 0
    for suffix, check in kinds.items():
        files = sorted(pathlib.Path(directory).glob(f"*.{suffix}"))
        if not files:
            print(f"no files *.{suffix} in {directory}", file=sys.stderr)
            failed = 1
        valid = 0
        for path in files:
            try:
                valid += check(path)
            except Exception as error:
                print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
                failed = 1
        print(f"{suffix}: {len(files)} files, {valid} things in the valid ones")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
