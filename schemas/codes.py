"""Every code a finding may carry, with its title. Each has a page `docs/codes/<code>.md` whose examples a test runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding. Codes are stable: one that is retired is never given again."""

    code: str
    title: str

    @property
    def page(self) -> str:
        """Where it is explained, from the root of the documentation."""
        return f"docs/codes/{self.code}.md"


_TITLES = {
    # 1xx: bytes, YAML and files
    "OC101": "A file is not UTF-8",
    "OC102": "A byte order mark",
    "OC103": "A control character",
    "OC104": "Not YAML",
    "OC105": "An anchor or an alias",
    "OC106": "A merge key",
    "OC107": "An explicit tag or a directive",
    "OC108": "A key that is given twice",
    "OC109": "A key that is not text",
    "OC110": "Digits that begin with a zero",
    "OC111": "A number out of range",
    "OC112": "Nested too deeply",
    "OC113": "Too many values in a file",
    "OC114": "Too many documents in a file",
    "OC115": "A text that is too long",
    "OC116": "A file that is too large",
    "OC117": "A line break that is none in YAML 1.2",
    "OC118": "A character that is not seen",
    "OC121": "Not a regular file",
    "OC122": "Too many files",
    "OC123": "A folder nested too deeply",
    "OC124": "An odd file name",
    "OC125": "A file that cannot be read",
    "OC126": "Too much in all files together",
    "OC127": "A file whose ending keeps it from being read",
    # 2xx: the shape of documents
    "OC201": "A document that is not a mapping",
    "OC202": "The apiVersion is missing or unknown",
    "OC203": "An unknown field",
    "OC204": "A field is missing",
    "OC205": "A value of the wrong type",
    "OC206": "Not one of the values that are allowed",
    "OC207": "A malformed value",
    "OC208": "A value that is too large, too small, too long or too short",
    "OC209": "Fields that do not go together",
    "OC210": "The kind is missing or unknown",
    "OC211": "A kind that only the engine writes",
    "OC212": "Params that are not JSON Schema",
    "OC213": "A schema that contradicts itself",
    # 3xx: identity and references
    "OC301": "Two documents with one identity",
    "OC302": "A previous name that another document has or had",
    "OC303": "No Project at the root",
    "OC304": "A Project in the wrong place",
    "OC305": "A reference to a document that does not exist",
    "OC306": "A circle of groups",
    "OC307": "A selection that matches nothing",
    "OC308": "Two steps with one id",
    "OC309": "Params that a job or workflow does not take",
    "OC310": "Jobs of one concurrency group that disagree",
    "OC311": "A connection that a target does not have",
    "OC312": "A branch that is used twice",
    "OC313": "A node that does not exist",
    "OC314": "A circle of nodes",
    "OC315": "Triggers that set each other off",
    "OC316": "A gate that cannot open",
    "OC317": "A library's document in the wrong place",
    "OC318": "A library that is not what was locked",
    "OC319": "A circle of library steps",
    "OC320": "A step that does not run on its target",
    "OC321": "A key or an address of two people",
    "OC322": "A jump that leads nowhere",
    "OC323": "A part of a plug-in that cannot be used",
    "OC324": "A workflow that its own job would wait for",
    "OC325": "A part of a plug-in that the lock does not know",
    "OC326": "Settings that a plug-in does not take",
    "OC327": "A user whom no channel reaches",
    "OC328": "An event that a rule never tells",
    "OC329": "Networks that are not scanned",
    "OC340": "A commit that removes too much",
    "OC341": "A commit that removes what is protected",
    # 4xx: expressions
    "OC401": "An expression that cannot be read",
    "OC402": "A name that an expression does not have",
    "OC403": "A step or node that has not ended yet",
    "OC404": "An expression where the shell would not take it as data",
    "OC405": "An output that nobody declares",
    "OC406": "A value that does not fit its step",
    "OC407": "An expression where none is evaluated",
    "OC408": "An expression of the wrong type",
    "OC409": "A template that cannot be read",
    "OC410": "A name that a template does not have",
    "OC411": "An expression that always fails",
    "OC412": "A template that reads what an event does not have",
    # 5xx: time
    "OC501": "An unknown time zone",
    "OC502": "A cron or rrule without a time zone",
    "OC503": "A cron line that cannot be read",
    "OC504": "A time that never comes",
    "OC505": "A cron step that is never taken",
    "OC506": "A window that never ends",
    "OC507": "A recurrence rule that cannot be used",
    "OC508": "Holidays of a country that nobody lists",
    "OC509": "A file that the repository does not have",
    "OC510": "An iCalendar file that cannot be used",
    # 6xx: security
    "OC601": "An ssh connection without host keys",
    "OC602": "A key or a certificate that cannot be read",
    "OC603": "A credential that the job's pool may not open",
    "OC604": "A credential that the job may not use",
    "OC605": "A secret in plain text",
    "OC606": "A secret where none may stand",
    "OC607": "A field that the credential does not have",
    "OC608": "A secret file outside the secret folder",
    "OC609": "A credential of the wrong type",
    "OC610": "A credential encrypted in another form",
    "OC611": "Recipients that are not those of the pools",
    "OC612": "A credential over plain HTTP",
    "OC613": "A rule whose conditions cannot hold",
    # 8xx: no mistake of the author
    "OC801": "A bug of ours",
    # 9xx: part of the language, not of this version
    "OC901": "Not supported yet",
    "OC902": "Checked, and not acted on yet",
}

CODES: Mapping[str, Code] = MappingProxyType({code: Code(code, title) for code, title in _TITLES.items()})
