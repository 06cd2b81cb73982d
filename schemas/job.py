"""Kind Job: steps, params and policy, run on targets."""

from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.envelope import Condition, Document, Identifier, Many, Model, Name, Outputs, ParamSchemas, Scalar
from schemas.meaning import Meaning
from schemas.quantities import Duration, Period, Positive, PositiveShare, Share
from schemas.rules import exactly_one, has, none_of, published, when
from schemas.runnerlabels import LABEL_KEY, LABEL_VALUE
from schemas.selector import Selection
from schemas.target import Become, UserName

Shell = Literal["sh", "bash", "powershell", "python3", "cmd"]
Script = Annotated[str, StringConstraints(pattern=r"\S")]
"""More than blanks."""
WholeExpression = Annotated[str, StringConstraints(pattern=r"^\s*\$\{\{[\s\S]*\}\}\s*$")]
"""One expression and nothing beside it, so that its value may be anything."""
ExpressionText = Annotated[str, StringConstraints(pattern=r"\$\{\{")]
Environment = Annotated[dict[str, Scalar], Meaning.EXPRESSION]
MAX_VARIABLES = 1_000
"""More than the environment of a process holds, and few enough to be kept for each of many steps."""
OnConflict = Literal["skip", "queueOne", "queue", "cancelRunning", "fail", "allow"]


class Retry(Model):
    max_attempts: Positive = Field(description="How often the step is started at most.", examples=[3])
    delay: Duration = Field(default=timedelta(0), description="Pause before the next attempt.", examples=["20s"])
    backoff: Literal["fixed", "exponential"] = Field(
        default="fixed", description="Whether the pause doubles each time."
    )
    max_delay: Duration | None = Field(default=None, description="Longest pause.", examples=["5m"])
    jitter: bool = Field(default=False, description="Vary the pause by chance.")
    on_exit_codes: Many[int] = Field(default=(), description="Repeat only after these exit codes.", examples=[[75]])
    if_: Condition = Field(
        default=None, alias="if", description="Repeat only when this holds.", examples=["${{ state == 'failed' }}"]
    )


class ForEach(Model):
    items: Annotated[list[Any] | WholeExpression, Meaning.EXPRESSION] = Field(
        description="The items, or an expression that gives them.", examples=[["a", "b"], "${{ params.names }}"]
    )
    as_: Identifier = Field(
        default="item", alias="as", description="The name an item has in expressions.", examples=["disk"]
    )
    max_parallel: Positive = Field(default=1, description="How many items at once.", examples=[2])


class Step(Model):
    """What the author wrote: either `run` (a script) or `uses` (a step type with its inputs in `with`)."""

    model_config = published(exactly_one("run", "uses"), when(has("run"), none_of("with")))

    id: Identifier | None = Field(
        default=None, description="Name in expressions and logs; step_1, step_2, ... by default.", examples=["space"]
    )
    name: str | None = Field(default=None, description="What people see.", examples=["Space left"])
    if_: Condition = Field(
        default=None,
        alias="if",
        description="Expression; the step is skipped when it is false.",
        examples=["${{ steps.space.outputs.used > 60 }}"],
    )
    run: Annotated[Script | None, Meaning.EXPRESSION] = Field(
        default=None,
        description="A script. Expressions in it are bound as variables, never spliced.",
        examples=["df --output=pcent /var | tail -1"],
    )
    uses: str | None = Field(
        default=None,
        description="A step type (ssh.exec) or a library step (linux-core/logrotate@1).",
        examples=["ssh.exec", "linux-core/logrotate@1"],
    )
    with_: Annotated[dict[str, Any] | None, Meaning.EXPRESSION] = Field(
        default=None,
        alias="with",
        description="Inputs of the step type.",
        examples=[{"config": "/etc/logrotate.d/web"}],
    )
    shell: Shell | None = Field(default=None, description="What interprets `run`: sh on POSIX, powershell on Windows.")
    connection: str | None = Field(
        default=None, description="Which of the target's connections to use.", examples=["ssh"]
    )
    env: Environment = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="Environment variables, over the job's.",
        examples=[{"TOKEN": "${{ secrets.api.token }}"}],
    )
    working_dir: Annotated[str | None, Meaning.EXPRESSION] = Field(
        default=None, min_length=1, description="Folder on the target to run in.", examples=["/srv/app"]
    )
    stdin: Annotated[str | None, Meaning.EXPRESSION] = Field(
        default=None, description="What the script reads on standard input.", examples=["${{ params.text }}"]
    )
    become: UserName | Become | None = Field(
        default=None, description="User to become before running.", examples=["root"]
    )
    timeout: Period | None = Field(default=None, description="The step is ended after this time.", examples=["10m"])
    retry: Retry | None = Field(default=None, description="Consent to repeat the step after a recorded failure.")
    for_each: ForEach | None = Field(default=None, description="Repeat the step for each item.")
    continue_on_error: bool = Field(default=False, description="Go on with the next step after a failure.")
    ok_exit_codes: Annotated[Many[int | ExpressionText] | str, Meaning.EXPRESSION] = Field(
        default=(0,), description="Exit codes that count as success.", examples=[[0, 1]]
    )
    outputs: Outputs = Field(
        default_factory=dict, description="Values for later steps.", examples=[{"used": "${{ int(stdout) }}"}]
    )
    rescue: "Many[Step]" = Field(default=(), description="Steps to run after this one failed.")
    idempotent: bool = Field(default=False, description="May be repeated when it is not known whether it ended.")
    sensitive: bool = Field(
        default=False,
        description="Keep its output out of logs and status. What it declares in `outputs` is kept there, and what "
        "later steps print of it.",
    )

    @model_validator(mode="after")
    def _one_action(self) -> "Step":
        if self.run is None and self.uses is None:
            raise ValueError("a step needs either 'run' or 'uses'")
        if self.run is not None and self.uses is not None:
            raise ValueError("a step has 'run' or 'uses', not both")
        if self.run is not None and self.with_ is not None:
            raise ValueError("'with' goes with 'uses'; give a script its values by expressions or 'env'")
        return self


LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY)]
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE)]


class RunsOn(Model):
    pool: Name | None = Field(default=None, description="The pool whose runners take the run.", examples=["default"])
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        description="Of those runners only the ones with all of these labels: their own (`runner --labels`), or those "
        "of the RunnerPool.",
        examples=[{"site": "eu"}],
    )


class Strategy(Model):
    order: Literal["targetFirst", "stepFirst"] = Field(default="targetFirst", description="Which comes first.")
    max_parallel: Positive = Field(default=20, description="How many targets at once.", examples=[20])
    batches: Many[PositiveShare] = Field(
        default=("100%",), description="Shares of all targets, one after another.", examples=[[1, "25%", "100%"]]
    )
    pause_between: Duration = Field(default=timedelta(0), description="Pause between batches.", examples=["30s"])
    max_failures: Share | None = Field(
        default=None, description="Failed targets beyond which nothing new starts.", examples=["10%", 2]
    )


class Concurrency(Model):
    group: Annotated[str | None, Meaning.EXPRESSION] = Field(
        default=None,
        description="Runs of one group share the limit; by default the name of the job or workflow. Expressions in it "
        "read params.",
        examples=["web-maintenance", "db-${{ params.database }}"],
    )
    limit: Positive = Field(default=1, description="How many runs of the group at once.", examples=[1])
    on_conflict: OnConflict = Field(default="queueOne", description="What happens to a run over the limit.")
    max_queue: Positive = Field(default=100, description="How many runs may wait under `queue`.", examples=[100])


class JobSpec(Model):
    params: ParamSchemas = Field(
        default_factory=dict,
        description="JSON Schema properties; also `required: true`, `secret: true` on each.",
        examples=[{"keepDays": {"type": "integer", "default": 14, "minimum": 1}}],
    )
    targets: Selection | None = Field(
        default=None, description="Which targets it runs on; without, only step types of the runner itself may be used."
    )
    runs_on: RunsOn = Field(default_factory=cache(RunsOn), description="Where it runs.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Higher starts first.", examples=[10])
    strategy: Strategy = Field(default_factory=cache(Strategy), description="How it spreads over targets.")
    concurrency: Concurrency = Field(default_factory=cache(Concurrency), description="What may run at the same time.")
    timeout: Period | None = Field(
        default=None, description="The run is ended after this time; 1h by default.", examples=["40m"]
    )
    queue_timeout: Period = Field(
        default=timedelta(hours=1), description="How long it may wait to start.", examples=["1h"]
    )
    env: Environment = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="Environment variables of all steps.",
        examples=[{"LC_ALL": "C"}],
    )
    steps: Many[Step] = Field(min_length=1, description="Run one after another on each target.")
    rescue: Many[Step] = Field(default=(), description="After a failed step that nothing rescued, per target.")
    finally_: Many[Step] = Field(
        default=(),
        alias="finally",
        description="At the end of every target that had begun, in any case; own limit 5m.",
    )
    outputs: Outputs = Field(
        default_factory=dict,
        description="The job's results.",
        examples=[{"freed": "${{ steps.rotate.outputs.freed }}"}],
    )


class Job(Document):
    """Steps, params and policy, run on targets."""

    kind: Literal["Job"] = Field(description="Job.")
    spec: JobSpec = Field(description="What it does.")
