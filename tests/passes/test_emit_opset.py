"""The opset of what is emitted."""

from __future__ import annotations

from onnx import defs

from haqc.passes.emit import at_opset
from tests.passes.small_graphs import GRAPHS, Prepared


def test_the_opset_is_raised_and_never_lowered() -> None:
    model = Prepared.of(GRAPHS["gemm"]()).model
    raised = at_opset(model, 25)
    assert (model.opset_imports[""], raised.opset_imports[""]) == (21, 25)
    assert at_opset(raised, 22).opset_imports[""] == 25


def test_nothing_but_types_and_new_attributes_changes_between_them() -> None:
    """So that a model is at that opset once it says so."""
    changed = []
    for name in {schema.name for schema in defs.get_all_schemas() if not schema.domain}:
        try:
            old, new = defs.get_schema(name, 21), defs.get_schema(name, 26)
        except defs.SchemaError:
            continue  # new since, or gone
        for attribute, then in old.attributes.items():
            now = new.attributes.get(attribute)
            if now is None or (now.type, now.required, str(now.default_value)) != (
                then.type, then.required, str(then.default_value)
            ):  # fmt: skip
                changed.append(f"{name}.{attribute}")
        for before, after in ((old.inputs, new.inputs), (old.outputs, new.outputs)):
            if [(form.name, form.option) for form in before] != [(form.name, form.option) for form in after]:
                changed.append(name)
        changed += [f"{name}.{a}" for a, now in new.attributes.items() if a not in old.attributes and now.required]
    assert changed == []
