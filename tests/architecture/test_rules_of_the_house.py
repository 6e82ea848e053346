# SPDX-License-Identifier: Apache-2.0
"""Rules that no single test of behaviour can prove, read off the source and the route table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from salus.access.permissions import Permission
from salus.http.routes import PUBLIC, SELF, Route
from salus.kernel.settings import SECTIONS
from salus.records.context import audited
from salus.records.operations.table import OPERATIONS
from tests.support.route_table import every_route

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "salus"
MOST_LINES = 500


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path below `salus`."""
    return {
        path.relative_to(SRC).as_posix(): ast.parse(path.read_text("utf-8"), str(path))
        for path in sorted(SRC.rglob("*.py"))
    }


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string in the code, f-strings with their constant parts joined; docstrings left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else " ? " for part in node.values)


# ── no permit, no record ─────────────────────────────────────────────────────────────────────────────────────────────


def test_permits_are_made_in_decide_alone() -> None:
    makers = {
        name for name, tree in modules().items() for called, _ in calls(tree) if called.rpartition(".")[2] == "Permit"
    }
    assert makers == {"access/decide.py"}


def test_the_makers_mark_is_imported_by_decide_alone() -> None:
    users = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and any(alias.name == "_MAKER" for alias in node.names))
        or (isinstance(node, ast.Attribute) and node.attr == "_MAKER")
    }
    assert users == {"access/decide.py"}


def _methods(path: str, class_: str) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(modules()[path]):
        if isinstance(node, ast.ClassDef) and node.name == class_:
            yield from (item for item in node.body if isinstance(item, ast.FunctionDef))


@pytest.mark.parametrize(
    ("path", "class_", "released"),
    [
        ("records/store/read.py", "Reader", r"\bRow\b"),
        ("records/store/store.py", "Store", r"\b(Row|Version)\b"),
    ],
)
def test_whatever_gives_out_a_record_asks_for_a_permit(path: str, class_: str, released: str) -> None:
    giving = {}
    for method in _methods(path, class_):
        result = ast.unparse(method.returns) if method.returns else ""
        if re.search(released, result):
            first = method.args.args[1]
            giving[method.name] = ast.unparse(first.annotation) if first.annotation else ""
    assert {"newest", "version", "history"} <= giving.keys()
    assert set(giving.values()) == {"Permit"}


def test_counting_asks_for_a_permit_as_well() -> None:
    """A count tells of records as a list does."""
    (count,) = (method for method in _methods("records/store/read.py", "Reader") if method.name == "count")
    assert [argument.arg for argument in count.args.args][:2] == ["self", "permit"]


def test_rows_are_not_made_outside_the_store() -> None:
    """A made-up row could be opened without a permit."""
    makers = {
        name for name, tree in modules().items() for called, _ in calls(tree) if called.rpartition(".")[2] == "Row"
    }
    assert makers == {"records/store/read.py"}


_TABLES = re.compile(r"\b(from|into|update|join|table|on)\s+(record|blind_token)\b(?!\s*of)", re.IGNORECASE)
_SQL = re.compile(r"\b(select|insert|update|delete|create|drop|alter|pragma)\b", re.IGNORECASE)


def test_sql_over_records_stands_in_the_store_alone() -> None:
    found = {
        name for name, tree in modules().items() for text in texts(tree) if _TABLES.search(text) and _SQL.search(text)
    }
    assert found
    assert all(name.startswith("records/store/") for name in found), found


def test_every_query_over_records_names_the_tenant_or_a_row() -> None:
    """A tenant wall stands in every query; the few others go by `seq` or ask what the newest one is."""
    walls = re.compile(
        r"tenant\s*=|seq\s*=|rowid\s*(=|in|>)|max\(seq\)|where true|match \?|into (record|blind_token)", re.I
    )
    for name, tree in modules().items():
        if name.startswith("records/store/") and name != "records/store/schema.py":
            for text in texts(tree):
                if _TABLES.search(text) and _SQL.search(text):
                    assert walls.search(text), (name, text)
    conditions = ast.unparse(next(m for m in _methods("records/store/read.py", "Reader") if m.name == "_conditions"))
    assert "r.tenant=?" in conditions  # what `where true` goes on with


def test_keys_and_seals_of_records_are_asked_for_in_the_store_alone() -> None:
    users = {
        name
        for name, tree in modules().items()
        for called, _ in calls(tree)
        if called.rpartition(".")[2] in {"record_key", "open_body"} and not name.startswith("crypto/")
    }
    # A renewal opens and seals under the write lock, and gives nothing out.
    assert users == {"records/store/store.py", "records/store/renewal.py"}


# ── every door ───────────────────────────────────────────────────────────────────────────────────────────────────────


def routes() -> tuple[Route, ...]:
    """The route table."""
    return every_route()


def test_every_route_names_its_permission() -> None:
    known = {*Permission, PUBLIC, SELF, "record:*"}
    for route in routes():
        assert route.permission in known, route.pattern
        assert route.doc.endswith(".")


def test_the_public_routes_are_these() -> None:
    public = {(route.method, route.pattern) for route in routes() if route.permission == PUBLIC}
    assert public == {
        ("GET", "/health"),
        ("GET", "/health/ready"),
        ("POST", "/auth/token"),
        ("GET", "/fhir/metadata"),
        ("GET", "/fhir/OperationDefinition"),
        ("POST", "/fhir/OperationDefinition/_search"),
        ("GET", "/fhir/OperationDefinition/{id}"),
        ("GET", "/fhir/.well-known/smart-configuration"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-authorization-server/t/{tenant}"),
        ("GET", "/.well-known/openid-configuration"),
        ("GET", "/oauth2/jwks"),
        ("GET", "/oauth2/smart-style"),
        ("GET", "/oauth2/authorize"),
        ("POST", "/oauth2/authorize"),
        ("POST", "/oauth2/par"),
        ("POST", "/oauth2/token"),
        ("POST", "/oauth2/introspect"),
        ("POST", "/oauth2/revoke"),
        ("POST", "/oauth2/register"),  # these four ask for tokens of their own
        ("GET", "/oauth2/register/{id}"),
        ("PUT", "/oauth2/register/{id}"),
        ("DELETE", "/oauth2/register/{id}"),
        ("GET", "/static/{file}"),
        ("GET", "/authorize/{id}"),  # sends whoever has no session to the sign-in
    } | {(r.method, r.pattern) for r in routes() if r.pattern == "/" or r.pattern.startswith("/sign-in")}


def test_everything_below_fhir_asks_for_a_permission() -> None:
    for route in routes():
        if route.pattern.startswith("/fhir") and route.permission != PUBLIC:
            assert isinstance(route.permission, Permission) or route.permission == "record:*"


def test_every_interaction_is_audited() -> None:
    """The ones that `http` may call are wrapped, so that a failure is written down before it is told."""
    wrapped = audited.__name__
    for path in ("read", "create", "update", "patch", "delete", "history", "search", "transaction"):
        tree = modules()[f"records/interactions/{path}.py"]
        public = [
            node
            for node in tree.body
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith(("_", "stage"))
        ]
        assert public
        for function in public:
            decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
            assert decorators, (path, function.name)
            assert decorators[0].startswith(wrapped), (path, function.name)


def test_access_is_asked_for_in_every_interaction() -> None:
    """By `decide`, or by handing the whole to something that decides; a batch hands each entry on."""
    asking = "permits_of|permitted|stage|stage_matching|stage_writes|match_one|_carry_out|_get"
    deciding = re.compile(rf"\.decide\(|\b({asking})\(")
    stories = {
        f"{name}:{node.name}": ast.unparse(tree if name.endswith(("batch.py", "staging.py")) else node)
        for name, tree in modules().items()
        if name.startswith("records/interactions/")
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_")
    }
    assert len(stories) >= 11
    assert [story for story, text in stories.items() if not deciding.search(text)] == []


def test_operations_without_a_permission_of_their_own_ask_in_their_story() -> None:
    for operation in OPERATIONS:
        if operation.permission is None:
            module = operation.run.__module__.removeprefix("salus.").replace(".", "/") + ".py"
            assert ".decide(" in ast.unparse(modules()[module]), operation.definition.id


# ── verified certificates, always ────────────────────────────────────────────────────────────────────────────────────

_UNVERIFIED = {"_create_unverified_context", "_create_default_https_context", "CERT_NONE", "CERT_OPTIONAL"}
_OFF = {"verify", "verify_ssl", "verify_certs", "use_ssl", "check_hostname", "assert_hostname", "ssl_verify"}


def unverified(tree: ast.AST) -> list[str]:
    """Whatever would make a client of ours take any certificate."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _OFF | {"cert_reqs"}:
            found += [ast.unparse(node)] if ast.unparse(node.value) in {"False", "None", "0", "''"} else []
        elif isinstance(node, ast.Assign) and ast.unparse(node.value) in {"False", "None", "0"}:
            found += [ast.unparse(node) for target in node.targets if getattr(target, "attr", "") in _OFF]
        elif isinstance(node, ast.Attribute | ast.Name | ast.alias):
            name = {ast.Attribute: "attr", ast.Name: "id", ast.alias: "name"}[type(node)]
            found += [ast.unparse(node)] if str(getattr(node, name)).rsplit(".", 1)[-1] in _UNVERIFIED else []
    return found


def test_every_certificate_is_verified() -> None:
    assert {name: found for name, tree in modules().items() if (found := unverified(tree))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "httpx.get(url, verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE as anything",
        "ssl._create_unverified_context()",
        "boto3.client('s3', use_ssl=False)",
        "hvac.Client(url, verify=0)",
    ],
)
def test_what_does_not_verify_is_seen(code: str) -> None:
    assert unverified(ast.parse(code))


# ── clock, log, size ─────────────────────────────────────────────────────────────────────────────────────────────────

_CLOCKS = re.compile(r"(^|\.)(time\.(time|time_ns|localtime|gmtime)|datetime\.(now|utcnow|today)|date\.today)$")
_MAY_READ_THE_CLOCK = {
    "kernel/clock.py",  # is the clock
    "kernel/ids.py",  # the time part of an id orders nothing and decides nothing
    "app/certificates.py",  # certificates are judged by the time of the machine, as their readers do
    "app/clinic.py",  # invented people are as old as they are today
}


def test_the_clock_is_read_in_one_place() -> None:
    readers = {name for name, tree in modules().items() for called, _ in calls(tree) if _CLOCKS.search(called)}
    assert "kernel/clock.py" in readers
    assert readers <= _MAY_READ_THE_CLOCK


_LOGGING = re.compile(r"(^|\.)_?(log|logger|logging)\.(debug|info|warning|error|exception|critical|log)$")
_SAFE = re.compile(
    r"type\(error\)\.__name__|len\(\w+\)|request_id|problem\.kind\.value|problem\.detail|_where\(error\)|tenant|why"
    r"|participant\.name|self\._name|[\w.]*_id|\d+"
)


def test_logs_take_a_fixed_sentence_and_values_that_hold_no_record() -> None:
    """`%s` with names, kinds and numbers: no f-string, no exception text, no traceback, no request content."""
    seen = 0
    for name, tree in modules().items():
        for called, call in calls(tree):
            if _LOGGING.search(called):
                seen += 1
                sentence, *values = call.args
                assert isinstance(sentence, ast.Constant), (name, ast.unparse(call))
                assert not call.keywords, (name, "exc_info and the like would write values")
                for value in values:
                    assert _SAFE.fullmatch(ast.unparse(value)), (name, ast.unparse(value))
    assert seen >= 5


def test_the_server_never_prints() -> None:
    """Only the command line speaks to the terminal."""
    for name, tree in modules().items():
        if not name.startswith("cli/"):
            assert not [called for called, _ in calls(tree) if called in {"print", "click.echo", "sys.stdout.write"}], (
                name
            )


def test_nothing_is_evaluated_from_outside() -> None:
    """`exec` builds extractors from the definitions inside the package; nothing else is run from text."""
    running = {
        name
        for name, tree in modules().items()
        for called, _ in calls(tree)
        if called in {"eval", "exec", "os.system", "os.popen", "pickle.loads", "yaml.load", "marshal.loads"}
    }
    assert {name.split("/")[0] for name in running} <= {"fhir"}


_DOORS = {
    "app/listening.py": {"socket"},  # to find the socket on which the worker listens
    "app/services_port.py": {"socket"},  # to listen
    "kernel/fetch.py": {"socket", "httpx"},  # the one door out; who uses it is said below
}


def test_nothing_reaches_out_to_the_network() -> None:
    """The server answers; it asks nobody (no telemetry, no update check, no fetching of what a record points to).

    Only who signs people and services in fetches keys and metadata, from addresses that an administrator accepted.
    """
    clients = {
        "urllib.request",
        "http.client",
        "httpx",
        "requests",
        "aiohttp",
        "smtplib",
        "ftplib",
        "socket",
        "urllib3",
    }
    for name, tree in modules().items():
        for node in ast.walk(tree):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported = [node.module]
            assert not (clients - _DOORS.get(name, set())).intersection(imported), name
            assert "salus.kernel.fetch" not in imported or name.startswith(("identity/", "app/")), name
    for listener in ("app/listening.py", "app/services_port.py"):
        assert not any(re.search(r"connect$|connect_ex|sendto", called) for called, _ in calls(modules()[listener]))


def test_files_are_about_one_thing() -> None:
    for folder in (SRC, ROOT / "tests", ROOT / "bench", ROOT / "tools"):
        for path in folder.rglob("*.py"):
            assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES, path.name


def test_every_file_carries_its_licence() -> None:
    for folder in (SRC, ROOT / "tests"):
        for path in folder.rglob("*.py"):
            text = path.read_text("utf-8")
            assert not text or text.startswith("# SPDX-License-Identifier: Apache-2.0"), path.name


def test_every_module_says_what_it_is_for() -> None:
    for name, tree in modules().items():
        assert ast.get_docstring(tree), name


def test_no_setting_switches_protection_off() -> None:
    """There is no `tls = false`, `auth = "none"` or `audit = false` to be found by tired hands."""
    names = {f"{section}.{field}" for section, struct in SECTIONS.items() for field in struct.__struct_fields__}
    words = ("insecure", "disable", "skip", "debug", "unsafe", "anonymous", "plain", "verify", "no_", "allow_")
    assert not [name for name in names for word in words if word in name]
