"""Documentation: generated pages are fresh, links resolve, commands parse, Python blocks compile."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import shlex
import tomllib
import unicodedata
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from sirr_jax.models import list_networks

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CARD = ROOT / "sirr_jax" / "inference" / "packaged" / "CARD.md"
INCLUDED = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "bundled-student.md": str(CARD)}


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_script("generate_docs")

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    CARD,
    *sorted(path for path in DOCS.rglob("*.md")),
]
# Experiments keep the keys and commands of the first edition; the reference is generated.
WRITTEN = [
    page for page in PAGES if page.relative_to(ROOT).parts[:2] not in (("docs", "experiments"), ("docs", "reference"))
]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def content(page):
    """Text of a page with the file that it includes."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r'^--8<-- "(.+)"$', lambda match: (ROOT / match[1]).read_text(encoding="utf-8"), text, flags=re.M)


def without_code(text):
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def blocks(page, language):
    """Fenced blocks of a language: position, text, whether `<!-- runs -->` stands before it."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"(<!-- runs -->\n)?^```{language}\n(.*?)^```$", text, flags=re.M | re.S)
    return [(text[: match.start()].count("\n") + 1, match[2], bool(match[1])) for match in found]


# --- generated pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted(set(generator.PAGES) - {"models"}))
def test_reference_page_is_fresh(page):
    assert (generator.REFERENCE / f"{page}.md").read_text(encoding="utf-8") == generator.PAGES[page]()


@pytest.fixture(scope="module")
def models_table():
    """Network id -> row of the table of models, as it is on the page."""
    text = (generator.REFERENCE / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`([\w/]+)`\].*$", text, flags=re.M)
    lines = re.findall(r"^\| \[`[\w/]+`\].*$", text, flags=re.M)
    return dict(zip(rows, lines, strict=True))


def test_models_page_is_fresh_beside_its_table(models_table):
    assert tuple(models_table) == list_networks()
    rows = [generator.NetworkRow(*line[2:-2].split(" | ")) for line in models_table.values()]
    text = (generator.REFERENCE / "models.md").read_text(encoding="utf-8")
    assert text == generator.models_page(rows)


@pytest.mark.parametrize("network_id", list_networks())
def test_row_of_models_table_is_fresh(models_table, network_id):
    row = generator.network_row(network_id)
    assert models_table[network_id] == "| " + " | ".join(row) + " |"
    if network_id in generator.README_NETWORKS:
        assert generator.readme_row(row) in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_readme_lists_ten_models():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = text.split("<!-- models -->\n")[1].split("<!-- end of models -->")[0].splitlines()[2:]
    assert len(rows) == len(generator.README_NETWORKS) == 10
    assert [row.split("`")[1] for row in rows] == list(generator.README_NETWORKS)


@pytest.mark.parametrize("config", ["", *generator.CONFIGS])
def test_every_config_key_has_a_meaning(config):
    bare = [key for key, _, meaning in generator.config_rows(config) if not meaning]
    assert bare == [], "write a comment behind each key, see sirr_jax/training/base_config.py"


def test_renamed_keys_page_agrees_with_the_function():
    from sirr_jax.training.renamed_keys import new_key

    rows = generator.renamed_rows()
    assert len(rows) > 20
    for old, new, _ in rows:
        for group, example in (
            ("[.networks.NAME]", ".networks.generator"),
            ("[.KEY]", ".name"),
            ("{teacher,student}", "teacher"),
        ):
            old, new = old.replace(group, example), new.replace(group, example)
        assert old == new or new_key(old) == new.replace(r"\1", ""), (old, new)


def test_metadata_page_lists_every_field():
    written = {key.removeprefix("modelspec.") for key in generator.example_metadata() if key != "sirr_jax"}
    assert written == set(generator._SPEC_FIELDS)


def test_check_fails_on_a_stale_page(monkeypatch, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("old")
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "REFERENCE", tmp_path)
    monkeypatch.setattr(generator, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("<!-- models -->\n<!-- end of models -->")
    monkeypatch.setattr(generator, "PAGES", {"page": lambda: "new"})
    monkeypatch.setattr(generator, "readme_table", lambda: "")
    assert generator.main(["--check"]) == 1
    assert "page.md is stale" in capsys.readouterr().out
    assert page.read_text() == "old"
    assert generator.main([]) == 0
    assert page.read_text() == "new"
    assert generator.main(["--check"]) == 0


# --- sizes and links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "lines"), [(ROOT / "README.md", 160), (CARD, 80)], ids=["README", "CARD"])
def test_page_is_short(page, lines):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= lines


def anchors(page):
    """Anchors of the headings of a page, as Python-Markdown makes them."""
    text = re.sub(r"^( *)```.*?^\1```$", "", content(page), flags=re.M | re.S)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]|\\", r"\1", heading)
        slug = re.sub(r"[^\w\s-]", "", unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode())
        slug = base = re.sub(r"[-\s]+", "-", slug.strip().lower())
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}_{number}"
        found.add(slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(content(page))):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if "docs" in page.relative_to(ROOT).parts], ids=name_of)
def test_site_links_stay_inside_docs(page):
    for target in re.findall(r"\]\(([^)\s:#]+)[^)\s:]*\)", without_code(page.read_text(encoding="utf-8"))):
        assert (page.parent / target).resolve().is_relative_to(DOCS), target


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert listed == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_site_loads_nothing_from_other_hosts():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text
    assert not re.search(r"https?://|site_url|repo_url", text)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_paths_of_the_repository_exist(page):
    spans = re.findall(r"`((?:sirr_jax|scripts|tests|configs|docs)/[\w./-]+)`", content(page))
    missing = [span for span in spans if "NAME" not in span and not span.endswith("...") and not (ROOT / span).exists()]
    assert missing == []


# --- commands -------------------------------------------------------------------------------------------------------


def commands():
    """Commands of fenced shell blocks: page, line, words without environment variables."""
    for page in [*WRITTEN, generator.REFERENCE / "config.md"]:
        if page.name == "add-a-system.md":
            continue  # test_add_a_system.py runs its commands, with the package that the page writes
        for line, block, _ in blocks(page, "sh"):
            for command in block.replace("\\\n", " ").splitlines():
                words = shlex.split(command, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words.pop(0)
                if words:
                    yield page, line, words


COMMANDS = list(commands())


@pytest.mark.parametrize(
    "words",
    [words for _, _, words in COMMANDS],
    ids=[f"{page.name}-{' '.join(words)[:50]}" for page, _, words in COMMANDS],
)
def test_command_parses(words):
    program, *rest = words
    if program == "sirr":
        check_sirr(rest)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
        assert set(rest) <= set(targets)
    elif program == "pip":
        check_pip(rest)
    elif program == "python" and rest[0].startswith("scripts/"):
        check_script(ROOT / rest[0], rest[1:])
    else:
        assert words[:3] == [".venv/bin/python", "-m", "pytest"], f"cannot check {words}"
        assert all((ROOT / word).exists() for word in words[3:] if not word.startswith("-"))


def check_sirr(words):
    from sirr_jax.cli.main import VERBS, parser

    if words == ["--version"]:
        with pytest.raises(SystemExit, match="0"):
            parser().parse_args(words)
        return
    verb, *rest = words
    assert verb in VERBS
    if verb == "train":
        check_train(rest)
    else:
        importlib.import_module(f"sirr_jax.cli.{verb}").parser().parse_args(rest)


def check_train(words):
    """Flags and overrides as `sirr train` parses them: unknown flags, configs, variants and keys are errors."""
    from sirr_jax.cli.find_config import find_config
    from sirr_jax.cli.train import flag_values
    from sirr_jax.training.renamed_keys import new_key

    renamed = [word for word in words if word.startswith("--config.") and new_key(word[9:].partition("=")[0])]
    assert renamed == []
    words = [f"--config={find_config(word[9:])}" if word.startswith("--config=") else word for word in words]
    command = ["sirr train", *words]
    values = flag_values(command)
    assert values(command)[1:] == []
    assert values.workdir
    assert values["config"].value.recipe


def check_pip(words):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[0] == "install"
    editable = words[words.index("-e") + 1]
    match = re.fullmatch(r"\.(?:\[([\w,]+)\])?", editable)
    assert match, editable
    assert set((match[1] or "train").split(",")) <= extras.keys()
    if "-c" in words:
        assert (ROOT / words[words.index("-c") + 1]).exists()


class ParserBuiltError(Exception):
    """Carries the parser of a script out of it."""


def check_script(path, words):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    flags = {
        argument.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value.startswith("--")
    }
    flags |= {
        f"--{call.args[0].value}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "").startswith("DEFINE_") and call.args
    }
    for word in words:
        flag, _, value = word.partition("=")
        if flag == "--config" and value:
            assert (ROOT / value.partition(":")[0]).exists()
        if flag.startswith("--"):
            assert flag in flags, f"{path.name} has no flag {flag}"
    if "argparse" not in path.read_text(encoding="utf-8") or "import torch" in path.read_text(encoding="utf-8"):
        return
    parser = script_parser(path.stem)
    parser.parse_args(words)


def script_parser(name):
    def capture(self, *args, **kwargs):
        raise ParserBuiltError(self)

    main = load_script(name).main
    with mock.patch.object(argparse.ArgumentParser, "parse_args", capture), pytest.raises(ParserBuiltError) as caught:
        main([]) if main.__code__.co_argcount else main()
    return caught.value.args[0]


def test_guides_name_every_verb():
    used = {words[1] for _, _, words in COMMANDS if words[0] == "sirr"}
    assert used >= set(generator.verbs())


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_config_keys_exist(page):
    """Keys in code spans exist in some config, and none is of the first edition."""
    keys = {
        key
        for config in generator.CONFIGS
        for variant in generator.variants(config)
        for key in generator.values_of(config, variant)
    }
    sections = {key.rsplit(".", depth)[0] for key in keys for depth in (1, 2, 3)} | {
        section.key
        for config in ("", *generator.CONFIGS)
        for section in generator.assigned_keys(generator.config_source(config))
    }
    spans = re.findall(r"`[^`\n]*`", content(page))
    used = [key for span in spans for key in re.findall(r"(?<![\w.])(?:--)?config\.([a-z][\w.]*\w)", span)]
    unknown = [key for key in used if key not in keys | sections and key != "json"]  # config.json is a file
    assert unknown == []


# --- Python blocks --------------------------------------------------------------------------------------------------

PYTHON = [(page, *block) for page in WRITTEN for block in blocks(page, "python")]


@pytest.mark.parametrize(
    ("page", "line", "code", "runs"), PYTHON, ids=[f"{page.name}-{line}" for page, line, _, _ in PYTHON]
)
def test_python_block_compiles(page, line, code, runs):
    compile(code, f"{name_of(page)}:{line}", "exec")


QUICK = [(page, line, code) for page, line, code, runs in PYTHON if runs]


@pytest.mark.parametrize(("page", "line", "code"), QUICK, ids=[f"{page.name}-{line}" for page, line, _ in QUICK])
def test_quick_python_block_runs(page, line, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save("photo.jpg")
    exec(compile(code, f"{name_of(page)}:{line}", "exec"), {})


def test_some_python_blocks_run():
    assert len(QUICK) >= 3
