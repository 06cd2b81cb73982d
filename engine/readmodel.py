"""The status branch as files: views to text, and text back to views (CONTRACT 4). Pure."""

from engine.views import (
    ConditionView as ConditionView,
)
from engine.views import (
    DecisionView as DecisionView,
)
from engine.views import (
    EngineView as EngineView,
)
from engine.views import (
    JobView as JobView,
)
from engine.views import (
    OverviewView as OverviewView,
)
from engine.views import (
    RequestView as RequestView,
)
from engine.views import (
    RunBrief as RunBrief,
)
from engine.views import (
    RunView as RunView,
)
from engine.views import (
    ScheduleView as ScheduleView,
)
from engine.views import (
    Skips as Skips,
)
from engine.views import (
    StepView as StepView,
)
from engine.views import (
    SyncView as SyncView,
)
from engine.views import (
    TargetStatusView as TargetStatusView,
)
from engine.views import (
    TargetView as TargetView,
)
