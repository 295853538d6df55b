import builtins
import inspect
import pickle
import re
from pathlib import Path

import pytest

import fastapi_pulsar.exceptions
from fastapi_pulsar import _core
from fastapi_pulsar.exceptions import pulsar

PYTHON_ONLY = {"Settings", "NotStarted", "HandlerSignature", "SendMany", "PayloadValidation", "CircuitOpen"}
CLASSES = {
    name: value
    for name, value in vars(pulsar).items()
    if inspect.isclass(value) and issubclass(value, pulsar.PulsarError)
}


def engine_kinds() -> dict[str, tuple[bool, str]]:
    """The engine's table: kind → whether retryable, sentence."""
    return {name: (retryable, doc) for name, retryable, doc in _core.error_kinds()}


def written_kinds() -> dict[str, tuple[bool, str]]:
    """The same as it stands in `src/error.rs`."""
    source = (Path(__file__).parents[2] / "src/error.rs").read_text()
    table = source.split("\nkinds! {\n", 1)[1].split("\n}", 1)[0]
    return {
        name: (retryable == "true", doc)
        for name, retryable, doc in re.findall(r'(\w+), (true|false), "([^"]*)";', table)
    }


def test_the_compiled_module_is_of_this_checkout() -> None:
    assert engine_kinds() == written_kinds()


def test_one_class_per_kind_and_nothing_else() -> None:
    kinds = engine_kinds()
    assert len(kinds) > 30
    assert set(CLASSES) == {f"{kind}Error" for kind in kinds} | {f"{name}Error" for name in PYTHON_ONLY} | {
        "PulsarError"
    }
    for kind, (retryable, doc) in kinds.items():
        cls = CLASSES[f"{kind}Error"]
        assert (cls.kind, cls.retryable, cls.__doc__) == (kind, retryable, doc)


def test_the_package_exports_the_whole_tree_and_the_docstring_draws_it() -> None:
    assert fastapi_pulsar.exceptions.__all__ == sorted(CLASSES)
    assert pulsar.__doc__ is not None
    for name, cls in CLASSES.items():
        plain = [base.__name__ for base in cls.__bases__ if base.__module__ == "builtins" and base is not Exception]
        assert re.search(rf"^ +{name}{re.escape(f' ({plain[0]})') if plain else ''}$", pulsar.__doc__, re.MULTILINE)


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_an_error_carries_topic_and_text_and_survives_pickling(cls: type[pulsar.PulsarError]) -> None:
    error = cls("it broke", topic="persistent://public/default/t")
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert (str(one), one.topic) == ("it broke", "persistent://public/default/t")
    assert cls("it broke").topic is None


@pytest.mark.parametrize("name", ["TimeoutError", "ConnectionError"])
def test_classes_with_a_builtin_name_are_that_builtin_too(name: str) -> None:
    with pytest.raises(getattr(builtins, name)):
        raise CLASSES[name]("it broke")
