"""Kind Job: steps, params and policy, run on targets."""

from datetime import timedelta
from functools import cache
from typing import Any, Literal

from pydantic import Field, model_validator

from schemas.envelope import Document, Identifier, Many, Model, Name, Scalar
from schemas.quantities import Duration, Positive, Share
from schemas.selector import Selection

Shell = Literal["sh", "bash", "powershell", "python3", "cmd"]
OnConflict = Literal["skip", "queueOne", "queue", "cancelRunning", "fail", "allow"]


class Retry(Model):
    max_attempts: Positive = Field(description="How often the step is started at most.")
    delay: Duration = Field(default=timedelta(0), description="Pause before the next attempt.")
    backoff: Literal["fixed", "exponential"] = Field(
        default="fixed", description="Whether the pause doubles each time."
    )
    max_delay: Duration | None = Field(default=None, description="Longest pause.")
    jitter: bool = Field(default=False, description="Vary the pause by chance.")
    on_exit_codes: Many[int] = Field(default=(), description="Repeat only after these exit codes.")
    if_: str | bool | None = Field(default=None, alias="if", description="Repeat only when this holds.")


class ForEach(Model):
    items: list[Any] | str = Field(description="The items, or an expression that gives them.")
    as_: Identifier = Field(default="item", alias="as", description="The name an item has in expressions.")
    max_parallel: Positive = Field(default=1, description="How many items at once.")


class Step(Model):
    """What the author wrote: either `run` (a script) or `uses` (a step type with its inputs in `with`)."""

    id: Identifier | None = Field(
        default=None, description="Name in expressions and logs; step_1, step_2, ... by default."
    )
    name: str | None = Field(default=None, description="What people see.")
    if_: str | bool | None = Field(
        default=None, alias="if", description="Expression; the step is skipped when it is false."
    )
    run: str | None = Field(
        default=None, description="A script. Expressions in it are bound as variables, never spliced."
    )
    uses: str | None = Field(
        default=None, description="A step type (ssh.exec) or a library step (linux-core/logrotate@1)."
    )
    with_: dict[str, Any] | None = Field(default=None, alias="with", description="Inputs of the step type.")
    shell: Shell | None = Field(default=None, description="What interprets `run`: sh on POSIX, powershell on Windows.")
    connection: str | None = Field(default=None, description="Which of the target's connections to use.")
    env: dict[str, Scalar] = Field(default_factory=dict, description="Environment variables, over the job's.")
    working_dir: str | None = Field(default=None, description="Folder on the target to run in.")
    stdin: str | None = Field(default=None, description="What the script reads on standard input.")
    become: str | dict[str, Any] | None = Field(default=None, description="User to become before running.")
    timeout: Duration | None = Field(default=None, description="The step is ended after this time.")
    retry: Retry | None = Field(default=None, description="Consent to repeat the step after a recorded failure.")
    for_each: ForEach | None = Field(default=None, description="Repeat the step for each item.")
    continue_on_error: bool = Field(default=False, description="Go on with the next step after a failure.")
    ok_exit_codes: Many[int] | str = Field(default=(0,), description="Exit codes that count as success.")
    outputs: dict[Identifier, Scalar] = Field(default_factory=dict, description="Values for later steps.")
    rescue: "Many[Step]" = Field(default=(), description="Steps to run after this one failed.")
    idempotent: bool = Field(default=False, description="May be repeated when it is not known whether it ended.")
    sensitive: bool = Field(default=False, description="Keep its output out of logs and status.")

    @model_validator(mode="after")
    def _one_action(self) -> "Step":
        if self.run is None and self.uses is None:
            raise ValueError("a step needs either 'run' or 'uses'")
        if self.run is not None and self.uses is not None:
            raise ValueError("a step has 'run' or 'uses', not both")
        if self.run is not None and self.with_ is not None:
            raise ValueError("'with' goes with 'uses'; give a script its values by expressions or 'env'")
        return self


class RunsOn(Model):
    pool: Name | None = Field(default=None, description="The pool whose runners take the run.")


class Strategy(Model):
    order: Literal["targetFirst", "stepFirst"] = Field(default="targetFirst", description="Which comes first.")
    max_parallel: Positive = Field(default=20, description="How many targets at once.")
    batches: Many[Share] = Field(default=("100%",), description="Shares of all targets, one after another.")
    pause_between: Duration = Field(default=timedelta(0), description="Pause between batches.")
    max_failures: Share | None = Field(default=None, description="Failed targets beyond which nothing new starts.")


class Concurrency(Model):
    group: str | None = Field(default=None, description="Runs of one group share the limit; by default the job's name.")
    limit: Positive = Field(default=1, description="How many runs of the group at once.")
    on_conflict: OnConflict = Field(default="queueOne", description="What happens to a run over the limit.")
    max_queue: Positive = Field(default=100, description="How many runs may wait under `queue`.")


class JobSpec(Model):
    params: dict[Identifier, dict[str, Any]] = Field(
        default_factory=dict, description="JSON Schema properties; also `required: true`, `secret: true` on each."
    )
    targets: Selection | None = Field(
        default=None, description="Which targets it runs on; without, only step types of the runner itself may be used."
    )
    runs_on: RunsOn = Field(default_factory=cache(RunsOn), description="Where it runs.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Higher starts first.")
    strategy: Strategy = Field(default_factory=cache(Strategy), description="How it spreads over targets.")
    concurrency: Concurrency = Field(default_factory=cache(Concurrency), description="What may run at the same time.")
    timeout: Duration | None = Field(default=None, description="The run is ended after this time; 1h by default.")
    queue_timeout: Duration = Field(default=timedelta(hours=1), description="How long it may wait to start.")
    env: dict[str, Scalar] = Field(default_factory=dict, description="Environment variables of all steps.")
    steps: Many[Step] = Field(min_length=1, description="Run one after another on each target.")
    rescue: Many[Step] = Field(default=(), description="After a failed step that nothing rescued, per target.")
    finally_: Many[Step] = Field(
        default=(), alias="finally", description="Always at the end, per target; own limit 5m."
    )
    outputs: dict[Identifier, Scalar] = Field(default_factory=dict, description="The job's results.")


class Job(Document):
    """Steps, params and policy, run on targets."""

    kind: Literal["Job"] = Field(description="Job.")
    spec: JobSpec = Field(description="What it does.")
