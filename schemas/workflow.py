"""Kind Workflow: a graph of jobs with waits and approval gates."""

from collections import Counter
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.envelope import Condition, Document, Identifier, Many, Model, Name, Outputs, ParamSchemas
from schemas.job import Concurrency, ForEach
from schemas.meaning import Meaning
from schemas.quantities import Period, Positive
from schemas.rules import chosen, exactly_one, none_of, published, when
from schemas.selector import Selection

NODE_KINDS = ("jobRef", "approval", "wait")
_OF_JOBS = {"params": "params", "limit": "limit", "forEach": "for_each", "continueOnError": "continue_on_error"}


class Gate(Model):
    """Who must say yes before the graph goes on. Members of `teams` and `users` may decide; both empty: anybody."""

    teams: Many[str] = Field(default=(), description="Teams whose members may decide.", examples=[["web-leads"]])
    users: Many[Name] = Field(default=(), description="Users who may decide.", examples=[["ana"]])
    count: Positive = Field(default=1, description="How many people must approve.", examples=[2])
    not_requester: bool = Field(default=False, description="Whoever asked for the run cannot approve it.")
    timeout: Period = Field(
        default=timedelta(days=1), description="How long the gate waits for people.", examples=["4h"]
    )
    on_timeout: Literal["fail", "skip"] = Field(
        default="fail",
        description="What becomes of the gate when too few decide: it fails, or it is skipped with all that needs it.",
    )


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"not a list of different nodes; '{twice}' stands in it twice")
    return names


Different = Annotated[Many[Identifier], AfterValidator(_different), Field(json_schema_extra={"uniqueItems": True})]


class Node(Model):
    """One node of the graph: a job, an approval gate, or a wait."""

    model_config = published(exactly_one(*NODE_KINDS), when(none_of("jobRef"), none_of(*_OF_JOBS)))

    job_ref: Name | None = Field(default=None, description="The job to run.", examples=["deploy-web"])
    approval: Gate | None = Field(default=None, description="People must approve before what needs this node.")
    wait: Period | None = Field(default=None, description="Time to let pass.", examples=["10m"])
    needs: Different = Field(
        default=(), description="Nodes that must have ended first; without any it starts at once.", examples=[["build"]]
    )
    if_: Condition = Field(
        default=None,
        alias="if",
        description=(
            "Expression; the node is skipped when it is false. Unless it asks how things went, by success(), "
            "failure(), always(), cancelled() or jobs.<id>.state, it is asked only where all of `needs` succeeded."
        ),
        examples=["${{ jobs.build.outputs.changed }}"],
    )
    params: Annotated[dict[Identifier, Any], Meaning.EXPRESSION] = Field(
        default_factory=dict,
        description="The job's params; expressions may use outputs of earlier nodes.",
        examples=[{"version": "${{ jobs.build.outputs.version }}"}],
    )
    limit: Annotated[Selection | None, Meaning.EXPRESSION] = Field(
        default=None, description="Narrows the job's targets."
    )
    for_each: ForEach | None = Field(
        default=None, description="Run the job once for each item; outputs are lists, with a value an item."
    )
    continue_on_error: bool = Field(default=False, description="What needs this node goes on after its failure.")

    @model_validator(mode="after")
    def _one_of_its_kinds(self) -> "Node":
        kinds = chosen(self, NODE_KINDS)
        if len(kinds) != 1:
            raise ValueError("a node has exactly one of jobRef, approval, wait")
        extra = [alias for alias, name in _OF_JOBS.items() if name in self.model_fields_set]
        if kinds != ["jobRef"] and extra:
            raise ValueError(f"'{extra[0]}' goes with jobRef only")
        return self


class WorkflowSpec(Model):
    params: ParamSchemas = Field(
        default_factory=dict,
        description="JSON Schema properties; also `required: true`, `secret: true` on each.",
        examples=[{"version": {"type": "string", "required": True}}],
    )
    jobs: dict[Identifier, Node] = Field(
        min_length=1,
        description="The nodes of the graph, by id.",
        examples=[{"build": {"jobRef": "build-web"}, "ship": {"jobRef": "ship-web", "needs": ["build"]}}],
    )
    outputs: Outputs = Field(
        default_factory=dict,
        description="The workflow's results.",
        examples=[{"version": "${{ jobs.build.outputs.version }}"}],
    )
    concurrency: Concurrency = Field(default_factory=cache(Concurrency), description="What may run at the same time.")
    timeout: Period | None = Field(
        default=None, description="The run is ended after this time; waits and gates count.", examples=["6h"]
    )


class Workflow(Document):
    """A graph of jobs with waits and approval gates."""

    kind: Literal["Workflow"] = Field(description="Workflow.")
    spec: WorkflowSpec = Field(description="The graph.")
