"""Sources become one tree: precedence, order, rename, prefix_key, include, exclude, collisions."""
import json

import pytest

ENV = dict(format="env")


def merged(host, **output):
    """All keys, as a json output has them."""
    place = host.output("json", "/etc/foo/all.json", **output)
    host.ok()
    return json.loads(place.read_text())


def test_a_later_source_wins_key_by_key(host):
    host.source("A=1\nB=1\n", "one.env", name="one")
    host.source("B=2\nC=2\n", "two.env", name="two")
    assert merged(host) == {"A": "1", "B": "2", "C": "2"}


def test_tables_merge_deeply(host):
    host.source("[db]\nhost = 'a'\nport = 1\n[db.pool]\nsize = 5\n", "one.toml", name="one")
    host.source('{"db": {"port": 2, "pool": {"idle": 1}}}', "two.json", name="two")
    assert merged(host) == {"db": {"host": "a", "port": 2, "pool": {"size": 5, "idle": 1}}}


def test_a_list_is_replaced_as_a_whole(host):
    host.source("a = [1, 2, 3]\n", "one.toml", name="one")
    host.source("a = [4]\n", "two.toml", name="two")
    assert merged(host) == {"a": [4]}


def test_precedence_is_the_order_of_the_sources_whatever_from_says(host):
    host.source("A=1\n", "one.env", name="one")
    host.source("A=2\n", "two.env", name="two")
    assert merged(host, from_=["two", "one"]) == {"A": "2"}


def test_from_leaves_the_other_sources_out(host):
    host.source("A=1\n", "one.env", name="one")
    host.source("A=2\nB=2\n", "two.env", name="two")
    assert merged(host, from_=["one"]) == {"A": "1"}


def test_files_of_a_directory_merge_in_bytewise_order_and_not_recursively(host):
    for name, text in {"a.env": "X=a\nA=1\n", "B.env": "X=B\nB=1\n", "10.json": '{"X": "10"}',
                       "sub/z.env": "X=z\nZ=1\n"}.items():  # fmt: skip
        host.write(f"conf/{name}", text)
    host.source(path=host.path("conf"))
    assert merged(host) == {"X": "a", "A": "1", "B": "1"}


def test_files_of_a_glob_merge_in_bytewise_order(host):
    for name, text in {"b.env": "X=b\n", "a.env": "X=a\n", "c.toml": "X = 'c'\n"}.items():
        host.write(f"conf/{name}", text)
    host.source(path=host.path("conf") / "*.env")
    assert merged(host) == {"X": "b"}


def test_a_file_without_a_known_extension_is_passed_over_with_a_note(host):
    host.write("conf/a.env", "A=1\n")
    host.write("conf/environment", "B=1\n")
    host.write("conf/README", "not keys\n")
    host.source(path=host.path("conf"))
    place = host.output("json", "/etc/foo/all.json")
    assert "README" in host.ok().err
    assert json.loads(place.read_text()) == {"A": "1", "B": "1"}


def test_an_output_among_the_files_of_a_source_is_no_input(host):
    host.write("conf/a.env", "A=1\nB=1\n")
    host.source(path=host.path("conf"))
    place = host.output("env", str(host.path("conf/z.env")))
    place.parent.mkdir(parents=True)
    host.path("conf/z.env").write_text("Z=1\n")
    assert "conf/z.env: passed over, it is an output" in host.ok().err
    assert place.read_text() == "A=1\nB=1\n"


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_a_source_whose_path_is_an_outputs_is_78(host, arguments):
    host.source("A=1\n", "a.env", name="own")
    host.output("env", str(host.path("a.env")))
    result = host.sync(*arguments)
    assert result.rc == 78 and "source own: " in result.err, str(result)
    assert f"{host.path('a.env')}: is an output, too" in result.err, str(result)
    assert host.path("a.env").read_text() == "A=1\n"


def test_a_single_file_without_an_extension_is_read_as_env(host):
    host.source("A=1\n", "settings")
    assert merged(host) == {"A": "1"}


def test_format_overrules_the_extension(host):
    host.source("a = 1\n", "settings.conf", format="toml")
    assert merged(host) == {"a": 1}


def test_in_an_env_source_the_last_of_two_same_names_wins(host):
    host.source("A=1\nA=2\n")
    assert merged(host) == {"A": "2"}


def test_include_and_exclude_see_the_own_keys_then_rename_then_prefix_key(host):
    host.source(
        "[db]\nhost = 'h'\nport = 1\n[other]\nx = 1\n", "a.toml", include=["db.*"],
        exclude=["*.port"], rename={"db.host": "server.name"}, prefix_key="app.main",
    )  # fmt: skip
    assert merged(host) == {"app": {"main": {"server": {"name": "h"}}}}


def test_rename_of_a_table_moves_what_lies_below_it(host):
    host.source("[a.b]\nc = 1\nd = 2\n[a]\ne = 3\n", "a.toml", rename={"a.b": "x"})
    assert merged(host) == {"x": {"c": 1, "d": 2}, "a": {"e": 3}}


def test_the_most_specific_rename_counts(host):
    host.source("[a.b]\nc = 1\nd = 2\n", "a.toml", rename={"a": "x", "a.b.c": "y"})
    assert merged(host) == {"x": {"b": {"d": 2}}, "y": 1}


def test_globs_one_star_stays_in_a_segment_and_two_cross(host):
    host.source("a = 1\n[t]\na = 2\n[t.u]\na = 3\n['x.y']\na = 4\n", "a.toml")
    one = host.output("json", "/etc/foo/one.json", include=["*.a"])
    two = host.output("json", "/etc/foo/two.json", include=["**.a"])
    quoted = host.output("json", "/etc/foo/three.json", include=['"x.y".a'])
    host.ok()
    assert json.loads(one.read_text()) == {"t": {"a": 2}, "x.y": {"a": 4}}
    assert json.loads(two.read_text())["t"] == {"a": 2, "u": {"a": 3}}
    assert json.loads(quoted.read_text()) == {"x.y": {"a": 4}}


def test_a_rename_onto_another_key_of_its_source_is_65_and_names_both(host):
    host.source("A=1\nB=2\n", rename={"A": "B"})
    host.output(**ENV)
    host.fails(65, "A and B both become B", "source file")


def test_a_value_against_a_table_is_65_and_names_both_sources(host):
    host.source("db = 'CANARY'\n", "one.toml", name="one")
    host.source("[db]\nhost = 'CANARY'\n", "two.toml", name="two")
    host.output("json", "/etc/foo/all.json")
    result = host.fails(65, "db", "one", "two")
    assert "CANARY" not in result.err + result.out


def test_a_value_against_a_table_in_a_source_that_the_output_leaves_out_is_fine(host):
    host.source("db = 1\n", "one.toml", name="one")
    host.source("[db]\nhost = 'h'\n", "two.toml", name="two")
    assert merged(host, from_=["two"]) == {"db": {"host": "h"}}


def test_two_keys_of_one_source_with_one_variable_name_are_65(host):
    host.source("db_password = 1\n[db]\npassword = 2\n", "one.toml")
    host.output(**ENV)
    host.fails(65, "db_password", "db.password", "DB_PASSWORD", "/etc/foo/environment")


def test_of_two_sources_with_one_variable_name_the_later_wins_and_explain_says_so(host):
    host.source("DB_PASSWORD=early\n", "one.env", name="one")
    host.source("[db]\npassword = 'late'\n", "two.toml", name="two")
    place = host.output(**ENV)
    host.ok()
    assert place.read_text() == "DB_PASSWORD=late\n"
    told = host.run("explain", "DB_PASSWORD")
    assert told.rc == 0 and "two" in told.out and "not in" in told.out, str(told)


def test_an_optional_source_that_is_absent_is_fine(host):
    host.source(file="nowhere.env", optional=True, name="extra")
    host.source("A=1\n")
    assert merged(host) == {"A": "1"}


@pytest.mark.parametrize("name", ["nowhere.env", "no/where.env", "conf/*.env"])
def test_a_source_that_is_absent_is_66(host, name):
    host.path("conf/x")
    host.source(path=str(host.path("x").parent / name), name="it")
    host.output(**ENV)
    host.fails(66, "source it", name.split("/")[-1])


def test_an_empty_document_is_a_source_without_keys(host):
    for name in "a.env", "b.toml":
        host.source("", name, name=name)
    host.source("{}", "c.json")
    assert merged(host) == {}


def test_empty_tables_survive_in_json_and_toml(host):
    host.source('{"a": {}, "b": {"c": {}}, "d": []}', "a.json")
    toml = host.output("toml", "/etc/foo/all.toml")
    assert merged(host) == {"a": {}, "b": {"c": {}}, "d": []}
    import tomllib

    assert tomllib.loads(toml.read_text()) == {"a": {}, "b": {"c": {}}, "d": []}


def test_json_null_is_65_with_file_and_line(host):
    path = host.source('{\n "a": 1,\n "secret": null}', "a.json")
    host.output(**ENV)
    host.fails(65, f"{path}:3")


def test_bootstrap_and_env_give_variables_and_the_process_wins(host):
    host.top |= {"bootstrap": str(host.write("boot", "WHERE=one\nOTHER=boot\n")), "env": ["WHERE"]}
    for name in "one", "two":
        host.write(f"{name}.env", f"A={name}\n")
    host.source(path=str(host.path("x").parent) + "/${WHERE}.env")
    place = host.output("env", "/etc/foo/${OTHER}")
    place = place.with_name("boot")
    host.ok()
    assert place.read_text() == "A=one\n"
    host.ok(env={"WHERE": "two", "OTHER": "not listed"})
    assert place.read_text() == "A=two\n"


def test_a_variable_may_have_a_default_and_a_dollar_may_be_literal(host):
    host.write("a${X}.env", "A=1\n")
    folder = host.path("x").parent
    host.source(path=f"{folder}/${{NAME:-a}}$${{X}}.env")
    assert merged(host) == {"A": "1"}


def test_a_variable_that_is_set_nowhere_is_78_with_its_place(host):
    host.source(path="/srv/${NOWHERE}.env")
    host.output(**ENV)
    result = host.fails(78, "NOWHERE", ":5:8: ", env={"NOWHERE": "x"})
    assert str(host.scratch.folder) in result.err


def test_the_environment_of_the_process_is_no_source(host):
    host.source("A=1\n")
    place = host.output(**ENV)
    host.ok(env={"A": "evil", "LD_LIBRARY_PATH": "/nowhere", "B": "2"})
    assert place.read_text() == "A=1\n"
