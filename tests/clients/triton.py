"""Asks a service by the Open Inference Protocol with Triton's own client and compares with what /predict answered.

Reads {"token", "models": [{"name", "rows", "answers"}]} from standard input; prints how many values of each model were equal to the
last bit. The first that is not ends it with an error.
"""

import json
import struct
import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def bits(number):
    return struct.pack("<d", number)


def flatten(answer, prefix=""):
    for key, value in answer.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def tensors(metadata, rows, upright, binary):
    shape = [len(rows), 1] if upright else [len(rows)]
    for field in metadata["inputs"]:
        values = [row[field["name"]] for row in rows]
        if field["datatype"] == "BYTES":
            array = numpy.array(["" if value is None else value for value in values], dtype=object)
        else:
            array = numpy.array([numpy.nan if value is None else value for value in values], dtype=numpy.float64)
        tensor = triton.InferInput(field["name"], shape, field["datatype"])
        tensor.set_data_from_numpy(array.reshape(shape), binary_data=binary)
        yield tensor


def compare(result, answers, shape):
    equal = 0
    for row, answer in enumerate(answers):
        for name, expected in flatten(answer):
            if name == "prediction_id":
                continue
            array = result.as_numpy(name)
            assert list(array.shape) == shape, (name, array.shape, shape)
            found = array.reshape(-1)[row]
            if isinstance(expected, float):
                assert bits(float(found)) == bits(expected), (name, row, found, expected)
            elif isinstance(expected, (bool, int)):
                assert found == expected, (name, row, found, expected)
            else:
                expected = ";".join(expected) if isinstance(expected, list) else expected
                found = found.decode() if isinstance(found, bytes) else str(found)
                assert found == expected, (name, row, found, expected)
            equal += 1
    return equal


def main():
    asked = json.load(sys.stdin)
    client = triton.InferenceServerClient(sys.argv[1])

    def headers():
        # A fresh one each time: the client leaves the length of its own request in it.
        return {"Authorization": f"Bearer {asked['token']}"}

    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["name"] == "ratchet"
    compared = {}
    for model in asked["models"]:
        name, rows, answers = model["name"], model["rows"], model["answers"]
        version = str(answers[0]["model"]["version"])
        assert client.is_model_ready(name) and client.is_model_ready(name, version)
        assert not client.is_model_ready(name, "999")
        metadata = client.get_model_metadata(name)
        equal = 0
        # The client's defaults send and ask for bytes; both ways it has to be the same.
        for upright, binary, chosen in [(False, True, ""), (True, True, version)]:
            inputs = list(tensors(metadata, rows, upright, binary))
            result = client.infer(name, inputs, model_version=chosen, request_id="mine", headers=headers())
            response = result.get_response()
            assert response["id"] == "mine" and response["model_version"] == version, response
            equal += compare(result, answers, [len(rows), 1] if upright else [len(rows)])
        # JSON knows no NaN, so rows without a value for a number can be sent in bytes only.
        if all(value is not None for row in rows for value in row.values()):
            inputs = list(tensors(metadata, rows, False, False))
            outputs = [triton.InferRequestedOutput(output["name"], binary_data=False) for output in metadata["outputs"]]
            result = client.infer(name, inputs, outputs=outputs, headers=headers())
            equal += compare(result, answers, [len(rows)])
        compared[name] = equal
        try:
            client.infer(name, inputs[1:], headers=headers())
        except InferenceServerException as refusal:
            assert "is missing" in refusal.message(), refusal
        else:
            raise AssertionError("a request without one of the inputs was answered")
        try:
            client.infer(name, inputs)
        except InferenceServerException as refusal:
            assert refusal.status() == "401", refusal
        else:
            raise AssertionError("a request without a token was answered")
    print(json.dumps(compared))


main()
