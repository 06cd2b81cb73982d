"""Label selectors, and the shape in which jobs, limits and acts choose targets."""

from typing import Literal

from pydantic import Field, model_validator

from schemas.envelope import Many, Model, Name
from schemas.rules import has, published, when


class Expression(Model):
    """One condition on a label."""

    model_config = published(
        when(has("operator", "In", "NotIn"), {**has("values"), "properties": {"values": {"minItems": 1}}}),
        when(has("operator", "Exists", "DoesNotExist"), {"properties": {"values": {"maxItems": 0}}}),
    )

    key: str = Field(min_length=1, description="The label's key.", examples=["env"])
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the label is compared.")
    values: Many[str] = Field(
        default=(), description="For In and NotIn: the values compared with.", examples=[["lab", "test"]]
    )

    @model_validator(mode="after")
    def _values_fit_the_operator(self) -> "Expression":
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"'{self.operator}' needs values")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"'{self.operator}' takes no values")
        return self


class Selector(Model):
    """All conditions must hold. An empty selector matches everything."""

    match_labels: dict[str, str] = Field(
        default_factory=dict, description="Labels that must have exactly these values.", examples=[{"role": "web"}]
    )
    match_expressions: Many[Expression] = Field(
        default=(),
        description="Further conditions, all of which must hold.",
        examples=[[{"key": "env", "operator": "NotIn", "values": ["lab"]}]],
    )


class Selection(Model):
    """A set of targets: the union of selector, groups and names, less what `exclude` chooses in the same way."""

    selector: Selector | None = Field(default=None, description="Targets whose labels match.")
    groups: Many[Name] = Field(default=(), description="Members of these TargetGroups.", examples=[["web-eu"]])
    names: Many[Name] = Field(default=(), description="Targets by name.", examples=[["web-01", "web-02"]])
    exclude: "Selection | None" = Field(default=None, description="Targets to leave out, chosen in the same way.")
