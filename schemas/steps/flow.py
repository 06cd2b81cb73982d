"""Step types that do nothing to a target: they wait, judge, tell, or stand in for others in tests."""

from schemas.steps.types import StepType, choice, duration, said_of, several, text, whole_number

TYPES = (
    StepType(
        "assert",
        description="Fails when something does not hold.",
        inputs={
            "that": {
                "type": "boolean",
                "description": "An expression; the step fails when it is false.",
                "examples": ["${{ steps.space.outputs.used < 90 }}"],
            },
            "message": {
                "type": "string",
                "description": "What to say then.",
                "examples": ["the disk is nearly full"],
            },
        },
        required=frozenset({"that"}),
        needs="nothing",
        examples=({"that": "${{ steps.space.outputs.used < 90 }}", "message": "the disk is nearly full"},),
    ),
    StepType(
        "dummy",
        description="For tests, and for nothing else: does what its inputs say, to try everything around a step.",
        inputs={
            "sleep": {"type": "string", "description": "How long to wait, as a duration.", "examples": ["1s"]},
            "exit": {"type": "integer", "description": "Exit code to end with; 0 by default.", "examples": [1]},
            "stdout": {"type": "string", "description": "What to print.", "examples": ["hello"]},
            "stderr": {"type": "string", "description": "What to print as an error.", "examples": ["disk is full"]},
            "die": {"type": "boolean", "description": "Take the whole runner along.", "examples": [True]},
            "hang": {
                "type": "boolean",
                "description": "Never end; heed no order to end, either.",
                "examples": [True],
            },
        },
        needs="nothing",
        examples=({"sleep": "1s", "stdout": "hello"},),
    ),
    StepType(
        "notify",
        description="Sends a message at once; rules are for events, this is for words that only the job knows.",
        inputs={
            "channel": text(
                "The NotificationChannel that delivers it.",
                "web-oncall",
                longest=63,
                pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
            ),
            "subject": text("Subject or title; the job's name by default.", "Logs rotated", longest=256),
            "text": text("The message.", "rotate failed on ${{ target.name }}", longest=65536),
            "format": choice(
                "What the text is; text by default. What expressions put into it is no markup.",
                "text",
                "html",
                "markdown",
            ),
        },
        required=frozenset({"channel", "text"}),
        markup="text",
        results=said_of(id="string", reached="array"),
        needs="nothing",
        examples=({"channel": "web-oncall", "text": "rotate failed on ${{ target.name }}"},),
    ),
    StepType(
        "wait.until",
        aliases=("wait",),
        description="Waits for a time, or until an address answers; its step's `timeout` bounds it.",
        inputs={
            "duration": duration("Wait so long.", "10m"),
            "instant": text(
                "Wait until this instant, RFC 3339 with an offset; one that is past is no wait.",
                "2026-12-01T06:00:00Z",
                longest=40,
                pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]{8,15}([Zz]|[+-][0-9]{2}:[0-9]{2})$",
            ),
            "tcp": text(
                "Wait until something accepts connections there; `host:port`, or a port of the target.",
                "db-01.example.org:5432",
                "22",
                longest=262,
                pattern=r"^([^\s:]+:|\[[0-9A-Fa-f:.]+\]:)?[0-9]{1,5}$",
            ),
            "url": text(
                "Wait until a GET there gives one of `okStatus`.",
                "https://web.example.org/healthz",
                longest=2048,
                pattern=r"^https?://",
            ),
            "okStatus": several(
                "Statuses to wait for; any of 200 to 299 where left out.",
                {"type": "integer", "minimum": 100, "maximum": 599},
                [200],
            ),
            "interval": duration("Pause between two looks; 5s by default.", "5s"),
            "successes": whole_number("How many looks in a row must succeed; 1 by default.", 1, 100, 3),
        },
        one_of=(("duration", "instant", "tcp", "url"),),
        together=(("okStatus", "url"),),
        needs="nothing",
        examples=({"tcp": "22", "interval": "5s"}, {"duration": "10m"}),
    ),
)
