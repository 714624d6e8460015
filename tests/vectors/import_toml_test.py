#!/usr/bin/env python3
"""Makes toml-test.json, next to this file, from a checkout of toml-lang/toml-test.

    import_toml_test.py CHECKOUT COMMIT

Takes the cases that the suite lists for TOML 1.0.0. A document that is valid UTF-8 without carriage
returns is kept as text ("toml"), any other as base64 ("base64"); "want" is the suite's tagged JSON,
absent where the document must be refused.
"""

import base64
import json
import pathlib
import sys


def load(tests, name):
    data = (tests / (name + ".toml")).read_bytes()
    case = {"name": name}
    try:
        case["toml"] = data.decode()
        if "\r" in case["toml"]:
            raise ValueError
    except ValueError:
        case.pop("toml", None)
        case["base64"] = base64.b64encode(data).decode()
    if name.startswith("valid/"):
        case["want"] = json.loads((tests / (name + ".json")).read_bytes())
    return case


def main():
    checkout, commit = pathlib.Path(sys.argv[1]), sys.argv[2]
    tests = checkout / "tests"
    listed = (tests / "files-toml-1.0.0").read_text().split()
    names = [name.removesuffix(".toml") for name in listed if name.endswith(".toml")]
    head = {
        "origin": "https://github.com/toml-lang/toml-test",
        "commit": commit,
        "licence": (checkout / "LICENSE").read_text(),
    }
    lines = [json.dumps(head, indent=1)[:-2] + ',\n "cases": [']
    lines.append(",\n".join(json.dumps(load(tests, name)) for name in names))
    lines.append("]}")
    out = pathlib.Path(__file__).with_name("toml-test.json")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
