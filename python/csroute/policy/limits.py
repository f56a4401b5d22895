"""The bounds that a policy can meet, by the names that they have in the engine's and the wire's own sources.

A test compares them with `rust_core/engine/src/limits.rs` and `rust_core/wire/src/policy.rs`.
"""

from __future__ import annotations

NAME_BYTES_MAX = 64
VALUE_BYTES_MAX = 256
UNITS_MAX = 100_000
LEVEL_MAX = 100
CHANNELS_MAX = 16
CLOCKS_MAX = 32
POLICY_ATTRIBUTES_MAX = 64
LAYERS_MAX = 16
RULES_MAX = 16_384
CLASS_STEPS_MAX = 32
WARNINGS_MAX = 8
GROUPS_MAX = 24
GROUP_SKILLS_MAX = 16
CONDITION_DEPTH_MAX = 8
SLOPE_MILLI_MAX = 100_000
HEAD_START_MS_MAX = 1_000_000_000_000
BOOST_MS_MAX = 10_000_000_000
DURATION_MS_MAX = 31_536_000_000
OFFER_TTL_MS_MAX = 3_600_000

VALUES_MAX = 4096
FITS_MAX = 256
CONTEXT_BYTES_MAX = 1024
