"""Golden vectors from the real pyfory 0.16.0 (pip install pyfory==0.16.0).

    python generate.py > golden.json     write the vectors
    python generate.py --check FILE      verify a file of the same form whose bytes come from elsewhere: pyfory has to
                                         decode them to the values and, where its own bytes are determined, encode the
                                         values to them
"""

import json
import sys

import pyfory

from cases import build, deep
from model import World, same


def generate():
    print(f'{{"pyfory": "{pyfory.__version__}", "implementation": "{pyfory.Fory.__module__}", "cases": [')
    for index, case in enumerate(build()):
        world = World(case["types"])
        vectors = [vector(world, described) for described in case["values"]]
        hashes = {tag: known for tag in case["types"] if (known := world.schema_hash(tag)) is not None}
        world.close()
        head = {"name": case["name"], "types": case["types"], "root": case["root"], "hashes": hashes}
        print("," * (index > 0) + dump(head)[:-1] + ', "vectors": [')
        print(",\n".join(map(dump, vectors)) + "]}")
    # How deep pyfory's own reader goes, and the value one level deeper, which its writer still writes.
    print('], "deepest": [')
    for index, case in enumerate(deep()):
        world = World(case["types"])
        depth = 1
        while reads(world, case["make"](depth + 1)):
            depth += 1
        head = {"name": case["name"], "types": case["types"], "root": case["root"], "depth": depth}
        for name, levels in (("deepest", depth), ("beyond", depth + 1)):
            head[name] = world.fory.serialize(world.value(case["make"](levels))).hex()
        print("," * (index > 0) + dump(head))
        world.close()
    print("]}")


def dump(value):
    return json.dumps(value, ensure_ascii=False)


def vector(world, described):
    value = world.value(described)
    encoded = world.fory.serialize(value)
    assert same(world.fory.deserialize(encoded), value) or has_fraction(described), described
    return {"value": described, "hex": encoded.hex()}


def reads(world, described):
    try:
        world.fory.deserialize(world.fory.serialize(world.value(described)))
        return True
    except Exception as error:
        assert "depth" in str(error), error
        return False


def find(described, matches):
    """Whether any part of a described value matches."""
    if isinstance(described, dict):
        return any(matches(kind, inner) or find(inner, matches) for kind, inner in described.items())
    return isinstance(described, list) and any(find(part, matches) for part in described)


def has_fraction(described):
    """pyfory goes through a double and often loses a microsecond when it encodes these."""
    return find(described, lambda kind, inner: kind == "timestamp" and int(inner) % 10**9 != 0)


def is_determined(described):
    """Sets are unordered, and pyfory starts new map chunks where classes change."""
    return not has_fraction(described) and not find(described, lambda kind, inner: kind == "set" and len(inner) > 1)


def check(path):
    with open(path) as file:
        cases = json.load(file)["cases"]
    decoded = encoded = 0
    problems = []
    for case in cases:
        world = World(case["types"])
        for vector in case["vectors"]:
            value = world.value(vector["value"])
            given = bytes.fromhex(vector["hex"])
            try:
                if not same(world.fory.deserialize(given), value):
                    problems.append((case["name"], "decodes to another value", vector))
                decoded += 1
                if is_determined(vector["value"]):
                    if world.fory.serialize(value) != given:
                        problems.append((case["name"], "encodes to other bytes", vector))
                    encoded += 1
            except Exception as error:
                problems.append((case["name"], repr(error), vector))
        world.close()
    for name, problem, vector in problems[:20]:
        print(f"{name}: {problem}: {json.dumps(vector)[:400]}")
    print(f"{len(cases)} cases: {decoded} vectors decoded, {encoded} encoded to the same bytes, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(check(sys.argv[2]))
    generate()
