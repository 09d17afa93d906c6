"""When nothing on time can change a registration any more.

The watermark ``w`` says that no further image with ``t < w`` is expected, so an image on time has
``t >= w``. What it can reach back to is decided by the rules:

- It can change label(i) while ``w < t_i + W``, where labels are smoothed and split registrations. It can
  never change count(i) of an observation before it, nor the observation's own label. So a member is
  settled from ``t + W`` on, or as soon as ``w`` has passed it where label(i) isn't compared.
- It can join a registration itself while ``w <= ref + gap`` (``ref`` is the registration's last image, or
  its start under ``registration_start``) and nothing settled comes after.
- It can make the observation after the registration join it by changing that one's label(i), unless the
  gap or its count keeps the two apart.
"""

from __future__ import annotations

from edge.registration.types import Options, Record, Registration


def watermark(newest: int, lateness: int, oldest_pending: int | None) -> int:
    """A deployment's watermark, ms UTC.

    Args:
        newest: newest event time accepted, ms UTC.
        lateness: how late an image may come and still count as on time, ms.
        oldest_pending: oldest event time found but not yet processed, ms UTC; None where nothing waits.
    """
    on_time = newest - lateness
    return on_time if oldest_pending is None else min(on_time, oldest_pending)


def reach(options: Options) -> int:
    """How far back an image can change an observation's part in the rules: less than this, in ms."""
    return options.window if options.method == "windowed" and "label" in options.split_on else 1


def is_settled(record: Record, registration: Registration, w: int, options: Options) -> bool:
    """Whether no set of images on time can change a registration.

    Args:
        record: what it stands on, up to date.
        registration: the one in question, as on record.
        w: the watermark, ms UTC.
        options: the rules' settings.
    """
    if w < registration.end + reach(options):
        return False
    member = record.after(registration.deployment, registration.last)
    if member is None:
        return _is_out_of_reach(registration, None, w, options)
    (following,) = record.registrations(registration.deployment, member.key, member.key)
    return _is_out_of_reach(registration, following, w, options)


def _is_out_of_reach(
    registration: Registration, following: Registration | None, w: int, options: Options
) -> bool:
    """Whether nothing can join a registration whose members are settled, given the next registration."""
    from_start = options.compared_to == "registration_start"
    limit = options.gap + (registration.start if from_start else registration.end)
    if following is None:
        return w > limit
    if w >= following.start + reach(options):
        return True
    if following.start > limit:
        return w > limit
    # Only its label can still change, and only from after it; its count keeps it apart whatever comes.
    return w > following.start and "count" in options.split_on and following.count != registration.count
