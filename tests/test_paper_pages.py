"""The pages about the papers: their tables say what the models are, and every line of code in them stands in the model's file.
The page about the LSTM's equations likewise."""
import re
import runpy
import shutil
from pathlib import Path

import pytest

from nanoemo import models
from nanoemo.summary import summarize

DOCS = Path(__file__).parent.parent / "docs"
SOURCES = DOCS.parent / "nanoemo" / "models"


def tables(page):
    """The rows of every table of a page with a column of parameters, as dictionaries; a list of tables."""
    found = []
    for block in re.findall(r"((?:^\|.*\|\n)+)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE):
        header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if {"params", "parameters"} & set(header):
            found.append([dict(zip(header, row)) for row in rows])
    return found


def number(text):
    return int(text.replace(",", ""))


@pytest.mark.parametrize("page, place, name", [
    ("chater.md", 0, "chater.dcnn"), ("chater.md", 1, "chater.conv1d"), ("chater.md", 2, "chater.lstm"),
    ("alizadeh.md", 0, "alizadeh.shallow"), ("alizadeh.md", 1, "alizadeh.deep"), ("njoku.md", 0, "njoku.cnn")])
def test_a_table_is_the_model(page, place, name):
    *rows, total = tables(page)[place]
    model = models.build(name)
    summary = summarize(model, models.recipe(name).input_shape)
    of_table = [number(row["params"]) for row in rows if number(row["params"])]
    assert of_table == [row.params for row in summary.rows if row.params]
    assert number(total["params"]) == sum(of_table)
    last_shape = tuple(int(size) for size in rows[-1]["output"].split(","))
    assert last_shape == summary.rows[-1].output_shape[-len(last_shape):]


def test_the_hybrids_of_alizadeh():
    rows = tables("alizadeh.md")[2]
    assert len(rows) == 2
    for row in rows:
        model = models.build(row["model"].strip("`"))
        summary = summarize(model, models.recipe(row["model"].strip("`")).input_shape)
        assert number(row["params"]) == sum(each.params for each in summary.rows)
        first = next(layer for layer in model.dense if type(layer).__name__ == "Linear")
        assert number(row["dense layers read"].split("=")[1]) == len(first.weight)


def test_the_four_networks_of_marrugat():
    rows, = tables("marrugat.md")
    for row in rows:
        assert number(row["parameters"]) == models.build(row["model"].strip("`")).num_parameters()


@pytest.mark.parametrize("page", ["alizadeh.md", "chater.md", "marrugat.md", "njoku.md"])
def test_code_in_a_table_stands_in_the_file(page):
    source = (SOURCES / page.replace(".md", ".py")).read_text(encoding="utf-8")
    for row in sum(tables(page), []):
        for code in re.findall(r"`(.*?)(?:, …\))?`", row.get("code", "")):
            assert code in source, code


def test_figures_told_of_a_reproduction_stand_on_its_page():
    told = (DOCS / "reproduction" / "README.md").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in (*DOCS.glob("reproduction/*/README.md"), DOCS / "njoku.md"))
    shares = {float(share) for share in re.findall(r"0\.\d{4}", pages)}
    for figure in re.findall(r"\d+\.\d\d(?= %)", told):
        assert f"{figure} %" in pages or float(figure) / 100 in shares, figure


@pytest.mark.parametrize("name", sorted(path.parent.name for path in DOCS.glob("reproduction/*/README.md")))
def test_a_reproductions_page_is_what_is_made_of_its_results(tmp_path, name):
    """So nothing on it is typed by hand, and it says what papers.py says today."""
    folder = DOCS / "reproduction" / name
    text = (folder / "README.md").read_text(encoding="utf-8")
    shutil.copytree(folder / "results", tmp_path / "results")
    shutil.copyfile(folder / "README.md", tmp_path / "README.md")
    page = runpy.run_path(str(DOCS / "make_reproduction.py"))["write_anew"](tmp_path)
    assert page.read_text(encoding="utf-8") == text
    assert all((folder / figure).is_file() for figure in re.findall(r"\]\((figures/.*?)\)", text))


def test_code_beside_the_equations_of_an_lstm_stands_in_the_kernel():
    page = (DOCS / "lstm.md").read_text(encoding="utf-8")
    kernel = " ".join((DOCS.parent / "kernels" / "recurrent.py").read_text(encoding="utf-8").split())
    lines = re.findall(r"^\|.* \| `(.*)` \|$", page, re.MULTILINE)
    assert len(lines) == 11
    for line in lines:
        assert line in kernel, line
