"""A client of etcd v3, by its JSON gateway: reading, transactions, leases and watching.

Every call asks the members in turn, beginning with the one that answered last. A transaction whose answer got lost may
have taken effect: callers compare revisions, so that doing it again, or looking again, tells.
"""

import base64
import contextlib
import json
import time
from collections import namedtuple
from concurrent import futures
from functools import partial

from hhtoken import errors
from hhtoken.provider import transfer
from hhtoken.text import N_

CONNECT_SECONDS = 2
ANSWER_SECONDS = 4  # of a member that has a leader; without one etcd itself gives up later
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024  # the names of a million accounts, say
CHUNK_BYTES = 64 * 1024
AUTHENTICATE = "auth/authenticate"

HINT_REACH = N_("look at the network and at 'etcdctl endpoint status'; the next run tries again")
HINT_USER = N_("check HHTOKEN_STORE_USER, its password and its role: it must read and write below the prefix")
HINT_CERTIFICATES = N_(
    "check HHTOKEN_STORE_CA_FILE, HHTOKEN_STORE_CERT_FILE and the names in the members' certificates"
)

# Codes of gRPC, which the gateway passes on.
INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION, UNAUTHENTICATED = 3, 5, 7, 9, 16
REFUSED = PERMISSION_DENIED, UNAUTHENTICATED

# A member that is cut from the others then says so at once, and ends a watch, which would stay silent otherwise.
REQUIRE_LEADER = {"Grpc-Metadata-hasleader": "true"}

# Of taking an odd answer apart; an OverflowError comes of Infinity.
SENSELESS = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)


class Unreachable(errors.TryLaterError):
    """No member gave an answer; whether a transaction took effect is not known."""


class NotEtcd(errors.ConfigError):
    """What answers at the address of a member is something else."""


Value = namedtuple("Value", ("data", "revision"))  # bytes; and the store's revision when the key was last written


class Etcd:
    """``members``: their addresses, e.g. ``https://10.0.0.1:2379``. ``user``, ``password``: or None. ``verify``,
    ``cert``: as of a requests session. Threads may share one."""

    def __init__(self, members, user=None, password=None, verify=True, cert=None):
        self._members = list(members)
        self._user, self._password = user, password
        self._verify, self._cert = verify, cert
        self._sessions, self._tokens = {}, {}

    def read(self, prefix, keys_only=False):
        """Return ``({key: Value}, revision)`` of all keys that begin with the prefix (bytes), as they stand now."""
        answer = self._call("kv/range", {**_range(prefix), "keys_only": keys_only})
        with _making_sense():
            found = {
                _bytes(pair["key"]): Value(_bytes(pair.get("value", "")), int(pair["mod_revision"]))
                for pair in answer.get("kvs") or ()
            }
            return found, int(answer["header"]["revision"])

    def transact(self, revisions, puts=None, deletes=(), lasting=None):
        """Where each key still has the revision given (0: it is absent), make all the changes, and return the revision
        that they have; 0 where a key has another one.

        ``revisions``: {key: revision}; ``puts``: {key: bytes}; ``lasting``: {key: seconds}, by etcd's clock, of those
        that go away by themselves.
        """
        leases = {key: self._lease(seconds) for key, seconds in (lasting or {}).items()}
        compare = [
            {"key": _text(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
            for key, revision in revisions.items()
        ]
        changes = [
            {"request_put": {"key": _text(key), "value": _text(data), "lease": leases.get(key, "0")}}
            for key, data in (puts or {}).items()
        ]
        changes += [{"request_delete_range": {"key": _text(key)}} for key in deletes]
        answer = self._call("kv/txn", {"compare": compare, "success": changes})
        with _making_sense():
            return int(answer["header"]["revision"]) if answer.get("succeeded") is True else 0

    def changes(self, prefix, revision, seconds):
        """Wait until a key with this prefix is changed after the revision; return ``([key], revision)`` of the changes,
        ``([], revision)`` where none was in time, and ``(None, revision)`` where the members do not know: they forget
        old revisions, and after a restore from a snapshot have not come to this one yet."""
        deadline = time.monotonic() + seconds
        request = {"create_request": {**_range(prefix), "start_revision": str(revision + 1)}}

        def take(response):
            with contextlib.closing(response), contextlib.suppress(transfer.load().RequestException), _making_sense():
                for line in response.iter_lines(chunk_size=None):
                    result = json.loads(line)["result"] if line else {}
                    if result.get("events"):
                        changed = [event["kv"] for event in result["events"]]
                        keys = [_bytes(pair["key"]) for pair in changed]
                        return keys, max(int(pair["mod_revision"]) for pair in changed)
                    if result.get("canceled") or int(result.get("header", {}).get("revision", revision)) < revision:
                        return None, revision
                    if time.monotonic() > deadline:
                        break
            return [], revision  # nothing came for so long, or the member went away

        return self._ask("watch", request, seconds, take)

    # -- calls --

    def _lease(self, seconds):
        answer = self._call("lease/grant", {"TTL": str(seconds)})
        with _making_sense():
            return str(int(answer["ID"]))

    def _call(self, path, body):
        """Return the answer, a dict."""
        return self._ask(path, body, ANSWER_SECONDS, _object)

    def _ask(self, path, body, seconds, take):
        """Return what ``take`` makes of the first good response of a member; raise Unreachable, or ConfigError where
        etcd refuses us, or none of them is a member. ``seconds``: for which a member may be silent; all that it sends
        may take twice as long, since whoever calls may hold a lock."""
        failures = []
        for member in self._members:
            work = partial(self._ask_member, member, path, body, seconds, take)
            try:
                taken = _in_time(2 * seconds + CONNECT_SECONDS, work)
            except (Unreachable, NotEtcd) as refusal:
                failures.append(refusal)
            except (transfer.load().RequestException, futures.TimeoutError) as error:
                self._session(member).close()  # whatever still runs there ends with its connection
                self._sessions.pop(member, None)
                failures.append(_unreachable(member, error))
            else:
                self._members = [member, *(one for one in self._members if one != member)]
                return taken
        raise next((one for one in failures if isinstance(one, Unreachable)), failures[0])

    def _ask_member(self, member, path, body, seconds, take):
        response = self._post(member, path, body, seconds)
        if response.status_code in (400, 401) and self._user:  # the token has aged, or was of other users and roles
            self._tokens.pop(member, None)
            response = self._post(member, path, body, seconds)
        if response.status_code != 200:
            raise _refusal(member, response)
        return take(response)

    def _post(self, member, path, body, seconds):
        headers = {}
        if self._user and path != AUTHENTICATE:
            headers["Authorization"] = self._token(member)
        timeout = CONNECT_SECONDS, seconds
        return self._session(member).post(
            f"{member}/v3/{path}", json=body, headers=headers, stream=True, timeout=timeout
        )

    def _token(self, member):
        if member not in self._tokens:
            body = {"name": self._user, "password": self._password}
            response = self._post(member, AUTHENTICATE, body, ANSWER_SECONDS)
            if response.status_code != 200:
                raise _refusal(member, response, (*REFUSED, INVALID_ARGUMENT))  # which here is a wrong password
            with _making_sense():
                token = json.loads(_content(response))["token"]
                token.encode("latin-1")  # as a header is
                self._tokens[member] = token
        return self._tokens[member]

    def _session(self, member):
        if member not in self._sessions:
            session = transfer.session({"Connection": "keep-alive", **REQUIRE_LEADER})
            session.verify, session.cert = self._verify, self._cert
            self._sessions[member] = session
        return self._sessions[member]


@contextlib.contextmanager
def _making_sense():
    """Whatever is odd about an answer that is taken apart inside the ``with``, it is as if none had come."""
    try:
        yield
    except SENSELESS:
        raise _senseless() from None


def _in_time(seconds, work):
    """Return what ``work`` returns, or raise what it raises; raise ``futures.TimeoutError`` once the time is over."""
    future = futures.Future()

    def run():
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    transfer.start_thread(run)
    return future.result(seconds)


def _object(response):
    with _making_sense():
        answer = json.loads(_content(response))
        answer.get("header")  # a dict, or it makes no sense
        return answer


def _content(response):
    """Return the body; raise Unreachable where it is larger than any answer, and what a session raises."""
    body = b""
    with contextlib.closing(response):
        for chunk in response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > LARGEST_ANSWER_BYTES:
                raise _senseless()
    return body


def _senseless():
    return Unreachable(N_("etcd gave an answer that makes no sense"), HINT_REACH)


def _unreachable(member, error):
    if isinstance(error, transfer.load().exceptions.SSLError):
        what = N_("the certificate of etcd at {member} is not trusted, or it does not trust this host's", member=member)
        return errors.ConfigError(what, HINT_CERTIFICATES)
    return Unreachable(N_("etcd at {member} is out of reach", member=member), HINT_REACH)


def _refusal(member, response, refused=REFUSED):
    """Return the Error that says why a member refused; etcd's own words are not repeated, they may quote values."""
    try:
        code = json.loads(_content(response)).get("code")
    except (Unreachable, *SENSELESS, transfer.load().RequestException):
        code = None
    if code in refused or response.status_code in (401, 403):
        return errors.ConfigError(N_("etcd at {member} refuses this user", member=member), HINT_USER)
    if code in (INVALID_ARGUMENT, FAILED_PRECONDITION):
        message = N_("etcd at {member} wants a user and a password, or none", member=member)
        return errors.ConfigError(message, HINT_USER)
    if response.status_code in (404, 405) and code != NOT_FOUND:  # of a lease that is gone
        return NotEtcd(N_("{member} does not speak etcd's version 3", member=member), N_("check HHTOKEN_STORE"))
    message = N_("etcd at {member} answered {status}", member=member, status=response.status_code)
    return Unreachable(message, HINT_REACH)


def _range(prefix):
    return {"key": _text(prefix), "range_end": _text(prefix[:-1] + bytes([prefix[-1] + 1]))}


def _text(data):
    return base64.b64encode(data).decode()


def _bytes(text_of_it):
    return base64.b64decode(text_of_it, validate=True)
