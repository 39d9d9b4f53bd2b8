"""``python -m bench mv``: the results under another name, for every command."""


def test_under_another_name_everything_is_stored_already(finished, bench):
    status, out, err = bench("mv", "small", "other")
    assert (status, err) == (0, "")
    assert out == (
        "results in results/other; write `name: other` in its YAML file, then: "
        "python -m bench report other\n"
    )
    status, out, err = bench("run", "small.yaml", "--set", "name=other")
    assert (status, err) == (0, "")
    assert "other: 4 trials: 4 were stored already, 0 measured now, 0 failed" in out
    assert bench("report", "other")[0] == 0
    assert bench("mv", "smal", "x")[2] == "error: results: no experiment 'smal'; known: other\n"
