"""The style of the public API, its glossary and the direction of imports, enforced over the whole package."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import pkgutil
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import sirr_jax

ROOT = Path(sirr_jax.__file__).parent

# The design fixes these orders: a raw batch or a network comes first, the key last.
KEY_COMES_LATER = {
    "sirr_jax.models.initialize.initialize",
    "sirr_jax.training.state.create_state",
}
KEYWORD_ONLY = ("layers", "models", "losses", "metrics", "synthesis.multiview")

# Rooms that a room may import, and rooms that it must never import: arrows point down only.
MAY_IMPORT = {
    "errors": set(),
    "registry": {"errors"},
    "layers": {"errors"},
    "models": {"errors", "layers", "registry"},
    "losses": {"errors", "layers", "registry"},
    "metrics": {"errors", "registry"},
    "synthesis": {"errors", "registry"},
}
NEVER = {
    "data": {"models", "losses", "weights", "recipes", "training", "inference", "evaluation", "cli"},
    "weights": {"recipes", "training", "inference", "evaluation", "cli"},
    "recipes": {"training", "inference", "evaluation", "cli"},
    "training": {"cli"},
    "inference": {"cli"},
    "evaluation": {"cli"},
}


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def package(name):
    """`layers` for `sirr_jax.layers.warp`, "" for `sirr_jax` itself."""
    return name.split(".")[1] if "." in name else ""


def imported(tree):
    """Absolute names of all that a module imports, `package.name` for `from package import name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides which way it points"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def modules():
    found = {"sirr_jax": sirr_jax}
    for info in pkgutil.walk_packages(sirr_jax.__path__, "sirr_jax."):
        try:
            found[info.name] = importlib.import_module(info.name)
        except ImportError as error:
            if not (error.name or "").startswith("tensorflow"):
                raise
    return found


@pytest.fixture(scope="module")
def functions(modules):
    """Public functions, methods and properties by their full names."""
    found = {}
    for module_name, module in modules.items():
        for name, thing in own_public(module):
            if inspect.isclass(thing):
                for part, member in vars(thing).items():
                    if part.startswith("_") and part != "__call__":
                        continue
                    member = getattr(member, "__func__", getattr(member, "fget", member))
                    # Not what dataclasses, named tuples and Flax generate.
                    if inspect.isfunction(member) and member.__qualname__ == f"{name}.{part}":
                        found[f"{module_name}.{name}.{part}"] = inspect.unwrap(member)
            elif inspect.isfunction(inspect.unwrap(thing)):
                found[f"{module_name}.{name}"] = inspect.unwrap(thing)
    return found


def own_public(module):
    for name, thing in vars(module).items():
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__ and callable(thing):
            yield name, thing


def parameters(function):
    found = list(inspect.signature(function).parameters.values())
    return [p for p in found if p.name not in ("self", "cls")]


def test_reflection_finds_the_house(modules, functions):
    assert len(modules) > 60
    assert set(SOURCES) >= set(modules)
    for name in ("layers.warp.warp", "models.vgg.Vgg.__call__", "synthesis.multiview.options.MultiviewOptions.height"):
        assert f"sirr_jax.{name}" in functions


def test_every_module_and_public_name_is_documented(modules, functions):
    bare = [name for name, module in modules.items() if not (module.__doc__ or "").strip()]
    for module_name, module in modules.items():
        for name, thing in own_public(module):
            # A class without a docstring of its own shows a generated signature, or its parent's text.
            if inspect.isclass(thing) and (not vars(thing).get("__doc__") or thing.__doc__.startswith(f"{name}(")):
                bare.append(f"{module_name}.{name}")
    bare += [name for name, function in functions.items() if not (function.__doc__ or "").strip()]
    assert bare == []


def test_every_module_with_code_defers_its_annotations():
    eager = []
    for name, tree in TREES.items():
        futures = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        if len(tree.body) > 1 and "annotations" not in futures:
            eager.append(name)
    assert eager == []


def test_every_public_signature_is_annotated(functions):
    bare = [
        f"{name}({parameter.name})"
        for name, function in functions.items()
        for parameter in parameters(function)
        if parameter.annotation is parameter.empty
    ]
    bare += [f"{name} ->" for name, f in functions.items() if inspect.signature(f).return_annotation is inspect._empty]
    assert bare == []


def test_prng_keys_come_first_and_are_called_key(functions):
    late, misnamed = set(), set()
    for name, function in functions.items():
        for position, parameter in enumerate(parameters(function)):
            # Other keys exist: the host's `StreamKey` names a stream, it draws nothing on a device.
            if parameter.name == "key" and position and "Array" in str(parameter.annotation):
                late |= {name} if parameters(function)[0].name != "raw" else set()
            if parameter.name in ("rng", "prng", "prng_key", "rng_key", "seed_key"):
                misnamed.add(name)
    assert late <= KEY_COMES_LATER
    assert misnamed == set()


def test_options_are_keyword_only(functions):
    loose = [
        f"{name}({parameter.name})"
        for name, function in functions.items()
        if name.startswith(tuple(f"sirr_jax.{package}." for package in KEYWORD_ONLY))
        for parameter in parameters(function)
        if parameter.default is not parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
    ]
    assert loose == []


def test_lists_of_public_names_are_true(modules):
    listed = {name: module.__all__ for name, module in modules.items() if hasattr(module, "__all__")}
    assert "sirr_jax" in listed
    for module_name, names in listed.items():
        assert len(names) == len(set(names)), module_name
        space = {}
        exec(f"from {module_name} import *", space)
        assert space.keys() - {"__builtins__"} == set(names), module_name


def test_the_package_offers_what_it_lists_and_nothing_else():
    assert dir(sirr_jax) == sorted(sirr_jax.__all__)
    assert set(sirr_jax._MODULES) | {"__version__"} == set(sirr_jax.__all__)
    with pytest.raises(AttributeError, match="'sirr_jax' has no attribute 'restore'"):
        _ = sirr_jax.restore


@pytest.mark.parametrize(
    ("imports", "forbidden"),
    [
        ("sirr_jax", {"jax", "flax", "tensorflow", "torch", "skimage"}),
        (
            "sirr_jax.models, sirr_jax.inference.restorer, sirr_jax.metrics, sirr_jax.weights.model_file",
            {"tensorflow", "torch", "skimage"},
        ),
    ],
    ids=["package", "using"],
)
def test_importing_pulls_in_nothing_heavy(imports, forbidden):
    code = f"import sys, {imports}; print(*sorted({forbidden!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.split() == []


def test_imports_inside_the_house_follow_its_arrows():
    wrong = []
    for name, tree in TREES.items():
        here = package(name)
        for target in imported(tree):
            if not target.startswith("sirr_jax."):
                continue
            there = package(target)
            allowed = there in MAY_IMPORT[here] | {here} if here in MAY_IMPORT else there not in NEVER.get(here, ())
            if not allowed or (there == "cli" and here != "cli"):
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_every_package_has_its_arrows():
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert packages - {"cli"} <= MAY_IMPORT.keys() | NEVER.keys()


def mentions(tree, name):
    """Whether code (not a docstring) uses `name`, as a variable, an attribute or an import."""
    for node in ast.walk(tree):
        used = getattr(node, "id", getattr(node, "attr", None))
        if used == name:
            return True
    return any(name in target.split(".") for target in imported(tree))


# Words that identifiers no longer use -> what they are called. House glossary: one name a thing, the ecosystem's.
GLOSSARY = {
    r"optimis|initialis|normalis|synthesis(e|ing)|recognis|quantis|colour|licen[c]e|neighbour|centre|grey": "American",
    r"judge": "evaluator (of a run), discriminator (of a GAN)",
    r"lookalike": "hard_negative",
    r"steps_per_call|steps_in_a_row": "scan_steps",
    r"weights_file|start_from": "init_from",
    r"hyper(_?param\w*)?$": "model_args",
    r"multiply_adds": "macs",
    r"origin_of|^origins?$": "pretrained_info, PretrainedInfo, description",
    r"sniff": "detect_file_type",
    r"untold": "undetectable",
    r"carried": "passthrough",
    r"^(blended|degraded_image|rainy_image)$": "mixture",
    r"^truths?$": "target, targets",
    r"^(said|told|verdict)$": "what it holds",
    r"^run_ahead|RunAhead$": "DispatchLimiter",
    r"^(makers?|Made|Maker)$": "SampleGenerator, GeneratedSample",
    r"^(adapters?|Adapter|ADAPTERS)$": "layout, Layout",
}


def identifiers(path):
    """Names and attributes of a source file, without strings and comments."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.string


def test_identifiers_keep_to_the_glossary():
    sources = [*SOURCES.values(), *sorted((ROOT.parent / "configs").glob("*.py"))]
    stale = {
        f"{path.relative_to(ROOT.parent)}: {name} -> {instead}"
        for path in sources
        for name in {*identifiers(path), path.stem}
        for pattern, instead in GLOSSARY.items()
        if re.search(pattern, name)
    }
    assert stale == set()


def test_the_first_editions_config_keys_are_gone():
    keys = "optimiser|accumulate|steps_per_call|evaluate_every|panels_every|keep|precision|without|grown"
    old = rf"config\.(\w+\.)*({keys})\b"
    found = [
        f"{path.relative_to(ROOT.parent)}: {match[0]}"
        for path in [*SOURCES.values(), *sorted((ROOT.parent / "configs").glob("*.py"))]
        for match in re.finditer(old, path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_one_class_name_stands_for_one_thing():
    """Networks are named by their role in a published system; everything else has a name of its own."""
    roles = {
        "Generator",
        "Discriminator",
        "Encoder",
        "Decoder",
        "ResidualBlock",
        "PyramidPooling",
        "Refiner",
        "Encoded",
    }
    places = {}
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in roles} == {}


DOCSTRINGS = {
    f"{name}:{getattr(node, 'lineno', 1)}": ast.get_docstring(node, clean=False)
    for name, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
}


def test_docstrings_have_one_style():
    """Google's, sections indented by 4 spaces; arguments are noun phrases, errors are sentences."""
    wrong = []
    for place, text in DOCSTRINGS.items():
        lines = text.splitlines()
        for number, line in enumerate(lines):
            section = re.fullmatch(r"( *)(Args|Attributes|Returns|Raises|Yields):", line)
            if not section:
                continue
            following = next((after for after in lines[number + 1 :] if after.strip()), "")
            if len(following) - len(following.lstrip()) != len(section[1]) + 4:
                wrong.append(f"{place}: {section[2]} is not indented by 4 spaces")
        wrong += [
            f"{place}: {match[0].strip()!r} is a fragment"
            for match in re.finditer(r"^ +\w+: (of|by|with|how|what|where|which|whose) .*$", text, re.MULTILINE)
        ]
        wrong += [
            f"{place}: {match[0].strip()!r} is not a sentence"
            for match in re.finditer(r"^ +\w+Error: (if|when|where) .*$", text, re.MULTILINE)
        ]
    assert wrong == []


def test_linen_stays_in_layers_and_models():
    assert {package(name) for name, tree in TREES.items() if mentions(tree, "linen")} == {"layers", "models"}


def test_pmap_is_said_in_one_module():
    assert [name for name, tree in TREES.items() if mentions(tree, "pmap")] == ["sirr_jax.training.parallel"]
