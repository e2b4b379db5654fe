"""What many teams run: FastAPI, pydantic and LightGBM on the table that a model of Ratchet was trained on.

`fastapi_service.py HOME MODEL PORT`, with a row in the variable BENCH_EXAMPLE, prints a token, trains on the rows of the model's own dataset, as many trees and leaves as the example's candidate,
checks an HS256 token with each request, validates every field and answers one number. No log is kept and no interval is answered. Two
processes serve, one for each core of the machine that was measured.
"""

import json
import os
import pathlib
import sys

import jwt
import lightgbm
import numpy
import pandas
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import create_model

SECRET = "a secret of the benchmark, 32 bytes long"
TOKEN = jwt.encode({"sub": "bench"}, SECRET, algorithm="HS256")
TREES, LEAVES = 500, 31


def table(bucket, manifest):
    name, version = manifest["lineage"]["inputs"][0].split("@")
    dataset = json.loads((bucket / "datasets" / name / f"{version}.json").read_text())
    digests = [file["sha256"] for file in dataset["files"]]
    return pandas.concat(pandas.read_parquet(bucket / "blobs" / "sha256" / digest[:2] / digest[2:]) for digest in digests)


def application(home, name):
    bucket = pathlib.Path(home) / "bucket"
    manifest = json.loads((bucket / "models" / name / "1.json").read_text())
    rows = table(bucket, manifest)
    asked = json.loads(os.environ["BENCH_EXAMPLE"])
    target = rows["AttendanceSeconds"].to_numpy(dtype=float)
    fields, codes, columns = {}, {}, []
    for field, example in asked.items():
        column = rows[field]
        if pandas.api.types.is_datetime64_any_dtype(column):
            fields[field] = (str, ...)
            columns.append(column.dt.hour)
        elif isinstance(example, (int, float)):
            fields[field] = (float, ...)
            columns.append(column.astype(float))
        else:
            fields[field] = (str | None, ...)
            codes[field] = {value: code for code, value in enumerate(column.dropna().unique())}
            columns.append(column.map(codes[field]).astype(float))
    parameters = {"objective": "regression", "num_leaves": LEAVES, "learning_rate": 0.05, "verbose": -1}
    model = lightgbm.train(parameters, lightgbm.Dataset(numpy.column_stack(columns), target), TREES)
    times = {field for field, (kind, _) in fields.items() if kind is str}
    row_type = create_model("Row", **fields)
    bearer = HTTPBearer()
    service = FastAPI()

    def caller(given: HTTPAuthorizationCredentials = Depends(bearer)):
        try:
            return jwt.decode(given.credentials, SECRET, algorithms=["HS256"])["sub"]
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None

    @service.post("/predict")
    def predict(row: row_type, _: str = Depends(caller)):
        values = []
        for field in fields:
            value = getattr(row, field)
            if field in times:
                values.append(float(value[11:13]))
            elif field in codes:
                values.append(codes[field].get(value, numpy.nan))
            else:
                values.append(value)
        return {"seconds": float(model.predict(numpy.array([values]), num_threads=1)[0])}

    return service


def make():
    return application(os.environ["BENCH_HOME"], os.environ["BENCH_MODEL"])


if __name__ == "__main__":
    os.environ["BENCH_HOME"], os.environ["BENCH_MODEL"] = sys.argv[1:3]
    print(TOKEN, flush=True)
    settings = {"host": "127.0.0.1", "port": int(sys.argv[3]), "log_level": "critical", "access_log": False}
    uvicorn.run("fastapi_service:make", factory=True, workers=2, app_dir=str(pathlib.Path(__file__).parent), **settings)
