"""Reads an experiment and a model with MLflow's own client and prints them as one JSON document.

python mlflow_read.py ADDRESS EXPERIMENT MODEL
"""

import hashlib
import json
import os
import sys
import tempfile

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow import MlflowClient  # noqa: E402


def files(client, run, path=None):
    found = []
    for entry in client.list_artifacts(run, path):
        found += files(client, run, entry.path) if entry.is_dir else [entry.path]
    return sorted(found)


def described(client, run):
    artifacts = files(client, run.info.run_id)
    digest = None
    if "bundle/bundle.safetensors" in artifacts:
        with tempfile.TemporaryDirectory() as directory:
            path = client.download_artifacts(run.info.run_id, "bundle/bundle.safetensors", directory)
            with open(path, "rb") as bundle:
                digest = hashlib.sha256(bundle.read()).hexdigest()
    points = {name: len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics}
    return {
        "id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "points": points,
        "tags": run.data.tags,
        "artifacts": artifacts,
        "bundle_sha256": digest,
    }


def main():
    address, experiment, model = sys.argv[1:]
    client = MlflowClient(address)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC", "attributes.run_id"])
    versions = client.search_model_versions(f"name='{model}'")
    document = {
        "runs": [described(client, run) for run in runs],
        "versions": sorted(
            ({"version": str(one.version), "run_id": one.run_id, "tags": one.tags} for one in versions),
            key=lambda one: int(one["version"]),
        ),
        "aliases": {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()},
    }
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
