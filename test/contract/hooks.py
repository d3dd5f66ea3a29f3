"""What schemathesis has to know of this server: who is there, and which calls end a session.

Generated ids are well-formed and belong to nobody, so nearly every answer would be a 404. Here most of those that could be ids are
replaced by ones that are; what was made to be wrong is left alone.
"""

import atexit
import json
import os
import re
from collections import Counter

import requests
import schemathesis

SCENE = json.loads(os.environ["GOCHAT_CONTRACT_SCENE"])
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
CONVERSATION = re.compile(rf"(?:single_{ULID.pattern}_{ULID.pattern}|group_{ULID.pattern}|world_chat_room)")
INVITE_CODE = re.compile(r"[A-Za-z0-9_-]{8,64}")
LETTER = re.compile(r"[A-Za-z0-9_:.-]{1,128}")

# They sign out the one who calls, or use up a guest: each gets a guest of its own, which costs no password hash. That of a device is
# among them, because schemathesis takes ids out of the answers that it has seen.
ENDS_DEVICE = "DELETE /api/users/me/sessions/{deviceId}"
ENDS_SESSION = {"POST /api/auth/logout", "DELETE /api/users/me/sessions", "POST /api/auth/upgrade", ENDS_DEVICE}
# They end a group, or the caller's part in it: each gets one of those that are there for it.
ENDS_GROUP = {
    "DELETE /api/conversations/{id}",
    "POST /api/conversations/{id}/transfer",
    "DELETE /api/admin/conversations/{id}",
}

turns = {}
statuses = Counter()
succeeded = set()


def turn(of):
    """A number that goes up with each call, for each kind of thing: the same in every run with the same seed."""
    turns[of] = turns.get(of, -1) + 1
    return turns[of]


def pick(kind):
    found = SCENE[kind]
    return found[turn(kind) % len(found)]


def is_replaced():
    # Every fourth stays nobody's.
    return turn("replaced") % 4 != 3


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = f"{case.operation.method.upper()} {case.operation.path}"
    if case.path_parameters:
        replace_path(operation, case.path_parameters)
    if isinstance(case.body, (dict, list)):
        case.body = replaced(case.body)


@schemathesis.auth(refresh_interval=None)
class Asker:
    def get(self, case, context):
        operation = f"{case.operation.method.upper()} {case.operation.path}"
        if "key" in SCENE["asker"]:
            return "x-admin-key", SCENE["asker"]["key"]
        if operation not in ENDS_SESSION:
            return "Authorization", f"Bearer {SCENE['asker']['token']}"
        guest = requests.post(f"{SCENE['url']}/api/auth/guest", timeout=30).json()
        if operation == ENDS_DEVICE and is_text((case.path_parameters or {}).get("deviceId"), LETTER) and is_replaced():
            case.path_parameters["deviceId"] = guest["deviceId"]
        return "Authorization", f"Bearer {guest['accessToken']}"

    def set(self, case, data, context):
        name, value = data
        case.headers = case.headers or {}
        case.headers[name] = value


def replace_path(operation, parameters):
    is_admin = "/admin/" in operation
    conversation = parameters.get("id")
    if is_text(conversation, CONVERSATION) and "/conversations/{id}" in operation and is_replaced():
        parameters["id"] = conversation = pick("mortals" if operation in ENDS_GROUP else "conversations")
    elif "/users/{id}" in operation and is_text(conversation, ULID) and is_replaced():
        parameters["id"] = pick("victims" if is_admin else "users")
    elif "/friends/requests/{id}" in operation and is_text(conversation, ULID) and is_replaced():
        parameters["id"] = pick("requests")
    elif "/dead-letters/{id}" in operation and is_text(conversation, LETTER) and is_replaced():
        parameters["id"] = pick("letters")
    if is_text(parameters.get("userId"), ULID) and is_replaced():
        parameters["userId"] = pick("users")
    if is_text(parameters.get("messageId"), ULID) and is_replaced():
        parameters["messageId"] = SCENE["messages"].get(conversation) or parameters["messageId"]
    if is_text(parameters.get("code"), INVITE_CODE) and is_replaced():
        parameters["code"] = pick("codes")


def replaced(value, name=""):
    if isinstance(value, dict):
        return {key: replaced(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, name) for one in value]
    if is_text(value, ULID) and name in {"targetUserId", "userId", "userIds", "memberIds", "mentions"} and is_replaced():
        return pick("users")
    if is_text(value, CONVERSATION) and is_replaced():
        return pick("conversations")
    return value


def is_text(value, pattern):
    return isinstance(value, str) and pattern.fullmatch(value) is not None


@schemathesis.hook
def after_call(context, case, response):
    statuses[response.status_code] += 1
    if response.status_code < 300:
        succeeded.add(f"{case.operation.method} {case.operation.path}")


@atexit.register
def summary():
    """A run in which nobody was let in would find nothing wrong either."""
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    print(f"answers {counts}; {len(succeeded)} operations succeeded at least once")
    with open("succeeded", "w") as file:
        file.write(str(len(succeeded)))
