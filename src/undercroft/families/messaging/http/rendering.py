"""Rows as the contract shows them, fields in its order. (contract §5)"""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from undercroft.base.clock import SECOND
from undercroft.families.messaging.failed import subscription_of
from undercroft.families.messaging.model import Address, Behind, Binary, Message, MessageSet, Person, Run, Schedule
from undercroft.families.messaging.subscriptions import Labelled
from undercroft.machinery.deliveries.model import Delivery

ROOT = "/api/v1"
_TASK = uuid.UUID("9d7b2c4e-5f0a-4d0e-8c7e-3f1b6a2d9e58")


def moment(at: int | None) -> str | None:
    """2026-11-21T00:08:05.361000Z; the fraction is left out when it is nothing."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{at % SECOND:03d}000Z" if at % SECOND else f"{text}Z"


def schedule(row: Schedule) -> dict[str, Any]:
    return {
        "id": row.id,
        "minute": row.minute,
        "hour": row.hour,
        "day_of_week": row.day_of_week,
        "day_of_month": row.day_of_month,
        "month_of_year": row.month_of_year,
        "timezone": row.timezone,
    }


def message_set(row: MessageSet) -> dict[str, Any]:
    return {
        "id": row.id,
        "short_name": row.short_name,
        "label": row.label,
        "content_type": row.content_type,
        "notes": row.notes,
        "next_set": row.next_set,
        "default_schedule": row.default_schedule,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "channel": row.channel,
        "quiet_from": row.quiet_from,
        "quiet_until": row.quiet_until,
        "dry_run": bool(row.dry_run),
    }


def set_with_messages(row: MessageSet, messages: list[tuple[Message, Binary | None]], base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "short_name": row.short_name,
        "notes": row.notes,
        "next_set": row.next_set,
        "default_schedule": row.default_schedule,
        "messages": [content(one, binary, base) for one, binary in messages],
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def message(row: Message) -> dict[str, Any]:
    return {
        "id": row.id,
        "messageset": row.messageset,
        "sequence_number": row.sequence_number,
        "lang": row.lang,
        "metadata": msgspec.Raw(row.metadata.encode()),
        "text_content": row.text_content,
        "binary_content": row.binary_content,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def content(row: Message, binary: Binary | None, base: str) -> dict[str, Any]:
    """A message as it is sent: without its metadata, with its file's URL."""
    shown = message(row)
    del shown["metadata"]
    return {**shown, "binary_content": None if binary is None else binary_content(binary, base)}


def binary_content(row: Binary, base: str) -> dict[str, Any]:
    return {"id": row.id, "content": f"{base}/media/{row.name}"}


def subscription(one: Labelled, base: str) -> dict[str, Any]:
    row = one.subscription
    return {
        "url": f"{base}{ROOT}/subscriptions/{row.id}/",
        "id": row.id,
        "version": row.version,
        "identity": row.identity,
        "messageset": row.messageset,
        "next_sequence_number": row.next_sequence_number,
        "lang": row.lang,
        "active": bool(row.active),
        "completed": bool(row.completed),
        "schedule": row.schedule,
        "process_status": row.process_status,
        "metadata": None if row.metadata is None else msgspec.Raw(row.metadata.encode()),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "initial_sequence_number": row.initial_sequence_number,
        "messageset_label": one.label,
    }


def failed_task(row: Delivery, base: str) -> dict[str, Any]:
    id = subscription_of(row)
    return {
        "url": f"{base}{ROOT}/failed-tasks/{row.id}/",
        "id": row.id,
        "subscription": f"{base}{ROOT}/subscriptions/{id}/",
        "subscription_id": id,
        "task_id": task_id(row.id),
        "initiated_at": moment(row.created_at),
        "reason": row.reason or "",
    }


def task_id(number: int) -> str:
    """Of a piece of work that has a number here."""
    return str(uuid.uuid5(_TASK, str(number)))


def behind(row: Behind, names: dict[int, str], base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "subscription": f"{base}{ROOT}/subscriptions/{row.subscription}/",
        "subscription_id": row.subscription,
        "messages_behind": row.messages_behind,
        "current_messageset": f"{base}{ROOT}/messageset/{row.current_messageset}/",
        "current_messageset_id": row.current_messageset,
        "current_messageset_name": names.get(row.current_messageset, ""),
        "current_sequence_number": row.current_sequence_number,
        "expected_messageset": f"{base}{ROOT}/messageset/{row.expected_messageset}/",
        "expected_messageset_id": row.expected_messageset,
        "expected_messageset_name": names.get(row.expected_messageset, ""),
        "expected_sequence_number": row.expected_sequence_number,
        "created_at": moment(row.created_at),
    }


def person(row: Person, addresses: list[Address]) -> dict[str, Any]:
    return {
        "id": row.id,
        "lang": row.lang,
        "timezone": row.timezone,
        "metadata": msgspec.Raw(row.metadata.encode()),
        "addresses": [
            {"type": a.kind, "address": a.address, "default": bool(a.is_default), "timezone": a.timezone}
            for a in addresses
        ],
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def run(row: Run) -> dict[str, Any]:
    """How far a send has come. `left`: messages whose first attempt has had an end, or that leave later."""
    return {
        "id": row.id,
        "schedule": row.schedule,
        "planned_at": moment(row.planned_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "queued": row.queued,
        "left": row.left_house,
        "skipped": row.skipped,
    }
